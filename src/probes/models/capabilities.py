"""What an architecture can be asked, and in words why not. Imports no torch.

A cell whose model cannot answer is not generated; the run says so. The same reasons are
given by the code that would compute the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from probes.cards import Checkpoint, ModelCard
from probes.errors import ProbesError
from probes.models.architecture_description import (
    ATTENTION_MATRICES,
    PARAMETER_ROLES,
    Architecture,
    is_true_of,
)
from probes.models.architectures import described_architecture
from probes.models.files.fingerprint import local_folder
from probes.models.files.untrusted_config import read_json_object

CAPABILITIES = (
    *PARAMETER_ROLES,
    "layers",
    "attention",
    "attention matrices",
    "positions",
    "context patch",
    "all-layers patch",
)
"""What a learner may need of a model: to move the weights of a role, to read or replace
hidden states after layers, to read self-attention, to read all four of its matrices, to
choose positions, to patch the MLP that reads what attention added, and to patch all
layers at once."""


def why_card_cannot(card: ModelCard, need: str) -> str:
    """Say why the model of a card cannot be asked something; nothing if it can.

    Nothing is loaded. If config.json cannot be read, the answer is nothing: the model's
    own cells report that error.

    Args:
        card: The model. Networks for regression can be asked everything.
        need: One of ``CAPABILITIES``.
    """
    source = card.architecture_source
    if not card.answers_text or not isinstance(source, Checkpoint):
        return ""
    config = _config_of(source)
    if config is None:
        return ""
    described = described_architecture(str(config.get("model_type")))
    return missing_capability(need, described, config.get("text_config", config))


@lru_cache(maxsize=64)
def _config_of(checkpoint: Checkpoint) -> Mapping[str, Any] | None:
    """Read config.json; None if it cannot be read."""
    try:
        return read_json_object(local_folder(checkpoint) / "config.json")
    except (ProbesError, OSError):
        return None


def missing_capability(
    need: str, architecture: Architecture | None, config: Any
) -> str:
    """Say why a model cannot be asked something; nothing if it can.

    Args:
        need: One of ``CAPABILITIES``.
        architecture: Its description; None if it has none.
        config: Its configuration, loaded or as in config.json; of a multimodal model
            the part about text.
    """
    assert need in CAPABILITIES, need
    if architecture is None:
        # Positions are tried out on the loaded model, whatever its architecture.
        return "" if need == "positions" else "its architecture is not described"
    if need == "positions":
        return no_given_positions(architecture, config)
    if need == "context patch":
        return no_context_patch(architecture, config)
    if need == "all-layers patch":
        return no_all_layers_patch(architecture)
    if need == "attention" and architecture.attention is None:
        return "not every layer has self-attention"
    if need == "attention matrices":
        reasons = filter(None, map(architecture.lacks, ATTENTION_MATRICES))
        return next(reasons, "")
    return architecture.lacks(need)


def no_context_patch(architecture: Architecture, config: Any) -> str:
    """Say why no rank-one patch of an MLP can replace the context."""
    if not architecture.mlp or architecture.attention is None:
        return "not every layer has self-attention and an MLP"
    if architecture.has_experts:
        return "each token's MLP is a choice among several"
    if is_true_of(architecture.is_parallel, config):
        return "attention and MLP read the same input, so no context reaches the MLP"
    return ""


def no_all_layers_patch(architecture: Architecture) -> str:
    """Say why no rank-one patches of all layers at once can replace the context."""
    if architecture.norm_of_gated_mlp:
        return ""
    return "its layers are not described as a gated MLP behind an RMS norm"


def no_given_positions(architecture: Architecture, config: Any) -> str:
    """Say why demonstrations cannot share positions."""
    if is_true_of(architecture.has_own_positions, config):
        return "its positions follow from the order of tokens and cannot be given"
    return ""
