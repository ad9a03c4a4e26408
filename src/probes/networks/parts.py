"""In which architectures embeddings and norms can be told from all other weights.

Told from a model's configuration alone, before any library reads it. Imports no torch.
Which parameters these are stands in ``loading``.
"""

from __future__ import annotations

from probes.networks.fingerprint import resolve
from probes.networks.origin import json_of
from probes.tasks import Checkpoint

KNOWN_PARTS = (
    "gemma",
    "gpt2",
    "gpt_neox",
    "gptj",
    "llama",
    "mistral",
    "olmo2",
    "opt",
    "phi3",
    "qwen2",
    "qwen3",
)
"""Values of ``model_type`` for which a test counts, by shapes, what is kept of each."""


def architecture_of(checkpoint: Checkpoint) -> str:
    """Read the ``model_type`` of a model's configuration; empty where it has none.

    Raises:
        ModelError: The model's folder or its configuration cannot be read.
    """
    found = json_of(resolve(checkpoint) / "config.json").get("model_type")
    return found if isinstance(found, str) else ""
