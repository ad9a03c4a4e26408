"""One description per architecture: where its layers, matrices and norms are.

To support an architecture, add one :class:`Architecture` to ``relatives_of_llama`` or
``relatives_of_gpt``, and an entry to the zoo in ``tests/support/zoo.py``. Sub-models,
hooks, untrained models that keep their embeddings, and the choice of the written-out
forward pass read nothing else. Nothing is guessed: a model without a description
answers in context and learns by GD of all weights. It is refused everything that needs
to know its parts. Imports no torch.
"""

from __future__ import annotations

from typing import Any

from probes.errors import ModelError
from probes.models.architecture_description import Architecture
from probes.models.relatives_of_gpt import GPT_RELATIVES
from probes.models.relatives_of_llama import LLAMA_RELATIVES

ARCHITECTURES = (*LLAMA_RELATIVES, *GPT_RELATIVES)


def described_architecture(model_type: str) -> Architecture | None:
    """Find the description of a ``model_type``; None where there is none."""
    for architecture in ARCHITECTURES:
        if model_type in architecture.model_types:
            return architecture
    return None


def architecture_of(model: Any) -> Architecture:
    """Find the description of a loaded model.

    Raises:
        ModelError: The architecture is not described.
    """
    model_type = str(model.config.model_type)
    described = described_architecture(model_type)
    if described is None:
        raise ModelError(
            f"The architecture {model_type!r} is not described, so nobody knows where "
            f"its layers and matrices are. Expected a described one; ICL and GD of all "
            f"weights need no description. Leave other claims out for this model, or "
            f"describe it in models/architectures.py."
        )
    return described
