"""Networks trained on the ICL objective: a folder of config.json and model.safetensors.

Two architectures: a stack of linear self-attention on tokens (x, y), float64, and a
causal softmax transformer on x₁, y₁, …, x_q, float32. Neither is a model of the
transformers library. ``fixtures/training`` shows how the shipped ones were trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from probes.bounded_io import parse_json, read_text
from probes.cards import Learned, ModelCard, Untrained
from probes.cell import Settings
from probes.errors import ModelError
from probes.hashing import seed_of
from probes.models.files.safetensors_headers import require_checksums
from probes.models.files.untrusted_config import LARGEST_CONFIG
from probes.models.regression.construction import LayerWeights, NetworkWeights
from probes.models.regression.linear_attention import LinearAttention
from probes.models.regression.softmax_attention import SoftmaxAttention, SoftmaxShape

MATRICES = ("W_Q", "W_K", "W_V", "P")
INITIAL_DEVIATION = 0.1  # of LSA's entries: predictions then start near 0, not at it
MENDING = "Write the folder with a command of fixtures/training, or check the path."


@dataclass(frozen=True, kw_only=True)
class LinearShape:
    """The architecture of a learned stack of linear self-attention.

    Attributes:
        n_inputs: Dimension d of the inputs; a token has one entry more.
        n_layers: Layers that act.
        n_distinct: Layers with weights of their own; a looped stack repeats them.
    """

    n_inputs: int
    n_layers: int
    n_distinct: int


def load_learned(card: ModelCard, _: Settings) -> LinearAttention | SoftmaxAttention:
    """Load a card's network, trained or untrained.

    Raises:
        ModelError: The folder does not hold the card's network.
    """
    weights = card.weights
    if isinstance(weights, Untrained):
        assert isinstance(weights.of, Learned)
        return untrained_network(weights.of, seed=weights.seed)
    assert isinstance(weights, Learned)
    return trained_network(weights)


def trained_network(source: Learned) -> LinearAttention | SoftmaxAttention:
    """Load a network from its folder.

    Raises:
        ModelError: The folder holds no such network; a weight is missing, not finite or
            of the wrong shape; or a file differs from the one that was shipped.
    """
    shape, path = read_shape(source), Path(source.location) / "model.safetensors"
    require_checksums(path.parent)
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{path} cannot be read: {error}. Expected the weights of a learned "
            f"network. {MENDING}"
        ) from error
    if isinstance(shape, LinearShape):
        _require_fit(path, tensors, draw_linear(shape, seed=0))
        return LinearAttention(stack(shape, tensors))
    network = SoftmaxAttention(shape)
    _require_fit(path, tensors, network.state_dict())
    network.load_state_dict(tensors)
    return network.requires_grad_(False)


def untrained_network(
    source: Learned, *, seed: int
) -> LinearAttention | SoftmaxAttention:
    """Build the same architecture with random weights, as before training.

    Raises:
        ModelError: The folder has no usable config.json.
    """
    shape, seed = read_shape(source), seed_of("untrained", seed)
    if isinstance(shape, LinearShape):
        return LinearAttention(stack(shape, draw_linear(shape, seed=seed)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SoftmaxAttention(shape).requires_grad_(False)


def draw_linear(shape: LinearShape, *, seed: int) -> dict[str, Tensor]:
    """Draw the matrices of every distinct layer, each of shape (d_token, d_token)."""
    rng, size = np.random.default_rng(seed), shape.n_inputs + 1
    return {
        f"layers.{layer}.{name}": torch.tensor(
            rng.normal(0, INITIAL_DEVIATION, (size, size))
        )
        for layer in range(shape.n_distinct)
        for name in MATRICES
    }


def stack(shape: LinearShape, tensors: Mapping[str, Tensor]) -> NetworkWeights:
    """Build a network's weights; a looped network repeats its distinct layers."""
    d = shape.n_inputs
    layers = [
        LayerWeights(
            **{m: tensors[f"layers.{layer}.{m}"].double().numpy() for m in MATRICES},
            skip=np.zeros((d + 1, d + 1)),
        )
        for layer in range(shape.n_distinct)
    ]
    repeated = [layers[k % shape.n_distinct] for k in range(shape.n_layers)]
    return NetworkWeights(
        layers=tuple(repeated), n_inputs=d, d_token=d + 1, read=d, sign=-1.0
    )


def read_shape(source: Learned) -> LinearShape | SoftmaxShape:
    """Read the architecture from config.json.

    Raises:
        ModelError: There is no such file, or it has another architecture.
    """
    path = Path(source.location) / "config.json"
    try:
        config: Any = parse_json(read_text(path, limit=LARGEST_CONFIG))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} cannot be read: {error}. Expected the configuration of a learned "
            f"network. {MENDING}"
        ) from error
    kind: Any = LinearShape if source.architecture == "linear" else SoftmaxShape
    choices = {f.name for f in fields(kind) if f.default is not MISSING}  # booleans
    names = sorted(f.name for f in fields(kind) if f.name not in choices)
    sizes = dict(config) if isinstance(config, dict) else {}
    architecture = sizes.pop("architecture", None)
    fits = all(
        type(size) is bool if name in choices else type(size) is int and size > 0
        for name, size in sizes.items()
    )
    known = sorted(sizes.keys() - choices) == names
    if architecture != source.architecture or not known or not fits:
        may_say = "".join(f" and true or false for {name}" for name in sorted(choices))
        raise ModelError(
            f"{path} says {config}. Expected the architecture {source.architecture!r} "
            f"and positive integers for {', '.join(names)}{may_say}. {MENDING}"
        )
    shape: LinearShape | SoftmaxShape = kind(**sizes)
    return shape


def _require_fit(
    path: Path, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> None:
    problems = [f"{name} is missing" for name in expected if name not in tensors]
    problems += [f"{name} is unknown" for name in tensors if name not in expected]
    for name in set(expected) & set(tensors):
        if tensors[name].shape != expected[name].shape:
            shapes = [tuple(t[name].shape) for t in (tensors, expected)]
            problems.append(f"{name} is {shapes[0]} instead of {shapes[1]}")
        elif not torch.isfinite(tensors[name]).all():
            problems.append(f"{name} has NaN or infinite entries")
    if problems:
        raise ModelError(
            f"{path} does not fit its config.json: {min(problems)} "
            f"({len(problems)} such tensors). Expected every tensor of the "
            f"architecture, finite and in its shape. {MENDING}"
        )
