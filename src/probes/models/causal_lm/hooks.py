"""Named points inside a model, where tensors are read or replaced while it runs.

This is the one way into a model's modules: attention is recorded, hidden states are
patched, lower layers are frozen and MLPs are compared through it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from probes.errors import ModelError
from probes.models.architectures import architecture_of

Point = Literal[
    "layer_input", "layer_output", "attention_input", "attention_output", "mlp_input"
]
"""Points of every layer. Inputs of attention and MLP are read after their norms.
Attention's output is what W_O returns, before it is added to the residual stream."""
Side = Literal["input", "output"]


@dataclass(frozen=True)
class Visit:
    """One pass through a point.

    Attributes:
        index: Layer of the point, or key of the hooked module.
        tensor: What passes, at a named point of shape (n_sequences, n_tokens, d_model).
        arguments: Positional arguments of the module.
        keywords: Keyword arguments of the module.
        output: What the module returned; None at an input.
    """

    index: int
    tensor: Tensor
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    output: Any = None


Act = Callable[[Visit], Tensor | None]
"""Called at every visit. A tensor that it returns replaces the one that passes."""


@contextlib.contextmanager
def hooked(
    model: Any, point: Point, act: Act, *, layers: Sequence[int] | None = None
) -> Iterator[None]:
    """Act at a point of a model's layers while the context is open.

    Args:
        model: A Hugging Face causal language model.
        point: Where in a layer.
        act: Reads what passes, and may replace it.
        layers: Layers to act in; None is all.

    Raises:
        ModelError: The architecture has no such point.
    """
    modules = modules_at(model, point)
    chosen = range(len(modules)) if layers is None else layers
    side: Side = "input" if point.endswith("_input") else "output"
    with hooked_modules({layer: modules[layer] for layer in chosen}, side, act):
        yield


@contextlib.contextmanager
def hooked_modules(
    modules: Mapping[int, nn.Module], side: Side, act: Act
) -> Iterator[None]:
    """Act at one side of some modules while the context is open.

    Args:
        modules: By the index that a visit shows.
        side: Before the modules compute, or after.
        act: Reads what passes, and may replace it.
    """
    with contextlib.ExitStack() as hooks:
        for index, module in modules.items():
            if side == "input":
                handle = module.register_forward_pre_hook(
                    _before(index, act), with_kwargs=True
                )
            else:
                handle = module.register_forward_hook(
                    _after(index, act), with_kwargs=True
                )
            hooks.enter_context(handle)
        yield


@contextlib.contextmanager
def skipped(modules: Sequence[nn.Module], output: Any) -> Iterator[None]:
    """Let modules return an output without computing while the context is open."""
    for module in modules:
        module.forward = lambda *_, **__: output
    try:
        yield
    finally:
        for module in modules:
            del module.forward


def modules_at(model: Any, point: Point) -> list[nn.Module]:
    """Find the module of each layer whose input or output is a point.

    Raises:
        ModelError: The architecture has no such point.
    """
    architecture = architecture_of(model)
    if point.startswith("layer"):
        return architecture.layers_of(model)
    if point == "mlp_input":
        _require_part(model, architecture.mlp, "MLP", "rank-one patches")
        return architecture.modules_of(model, architecture.mlp[0])
    _require_part(model, architecture.attention, "self-attention", "attention")
    inner = architecture.W_O if point == "attention_output" else None
    return architecture.modules_of(model, architecture.attention, inner)


def _require_part(model: Any, path: Any, part: str, claims: str) -> None:
    """Refuse an architecture without a part in every layer.

    Raises:
        ModelError: It has none.
    """
    if not path:
        raise ModelError(
            f"Not every layer of {type(model).__name__} has {part}. Expected an "
            f"architecture in which each layer has it. Leave the claims about {claims} "
            f"out for this model."
        )


def _before(index: int, act: Act) -> Any:
    def hook(_: nn.Module, arguments: Any, keywords: Any) -> Any:
        tensor = arguments[0] if arguments else keywords["hidden_states"]
        new = act(Visit(index, tensor, arguments, keywords))
        if new is None:
            return None
        if arguments:
            return (new, *arguments[1:]), keywords
        return arguments, {**keywords, "hidden_states": new}

    return hook


def _after(index: int, act: Act) -> Any:
    def hook(_: nn.Module, arguments: Any, keywords: Any, output: Any) -> Any:
        tensor = output[0] if isinstance(output, tuple) else output
        new = act(Visit(index, tensor, arguments, keywords, output))
        if new is None:
            return None
        return (new, *output[1:]) if isinstance(output, tuple) else new

    return hook
