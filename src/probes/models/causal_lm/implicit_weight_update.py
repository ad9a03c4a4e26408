"""The context as a rank-one change of the MLP's first weights, layer by layer.

Dherin et al. 2025, arXiv:2507.16003, Theorem 2.2. It is an identity: M_W(z) = f(W z)
depends on its input through W z alone, so a change of W can replace a change of z.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from probes.errors import ModelError
from probes.models.architectures import architecture_of
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.hooks import (
    Act,
    Visit,
    hooked,
    hooked_modules,
    modules_at,
)
from probes.models.causal_lm.library_forward import expanded


def rank_one_patch(weight: Tensor, bare: Tensor, change: Tensor) -> Tensor:
    """Compute ΔW = (W ΔA) A(x)ᵀ / ‖A(x)‖².

    Args:
        weight: W, shape (d_out, d_in).
        bare: A(x), the MLP's input without the context, shape (d_in,).
        change: ΔA, the context's addition to it, shape (d_in,).
    """
    return torch.outer(weight @ change, bare) / bare.square().sum()


def patch_errors(
    model: CausalLM, prompts: Sequence[Sequence[int]], n_own: Sequence[int]
) -> Tensor:
    """Compare, in every layer, the MLP after the context with the patched MLP without.

    The layer's input is that of the whole prompt in both. "Without" means that the
    query's own tokens see only each other in this layer's attention. The residual
    stream around the MLP is not patched: there the context acts by addition. Prompts in
    a row that share a context read it once.

    Args:
        model: The loaded model; float64 shows that only rounding is left.
        prompts: Token ids of each.
        n_own: Number of the query's own tokens at the end of each prompt.

    Returns:
        The norm of the patched MLP's error and of the context's effect on the MLP's
        output at the last token, shape (n_prompts, n_layers, 2).

    Raises:
        ModelError: The architecture has no MLP whose first weights are linear modules.
    """
    _require_linear(model.model)
    mlps = modules_at(model.model, "mlp_input")
    held, cache, errors = None, None, []
    with torch.inference_mode():
        for prompt, n in zip(prompts, n_own, strict=True):
            context, own = list(prompt[:-n]), list(prompt[-n:])
            if context != held:
                held, cache = context, model.prefill(context)
            with_context, calls = _read_with_context(model, cache, len(context), own)
            bare = _read_without_context(model, calls)
            compared = zip(mlps, bare, with_context, strict=True)
            errors.append(torch.stack([_compare(*layer) for layer in compared]))
    return torch.stack(errors).cpu()


def _read_with_context(
    model: CausalLM, cache: Any, n_context: int, own: list[int]
) -> tuple[list[Tensor], list[Visit]]:
    """Run one query after a context, whose keys and values are cached.

    Returns:
        For each layer, the MLP's input at the last token, shape (d_model,), and the
        visit at the layer's input.
    """
    entering: list[Tensor] = []
    calls: list[Visit] = []
    places = torch.arange(n_context, n_context + len(own), device=model.device)
    with (
        hooked(model.model, "layer_input", calls.append),
        hooked(model.model, "mlp_input", _keep_last(entering)),
    ):
        model.logits(
            torch.tensor([own], device=model.device),
            torch.tensor([0], device=model.device),
            past_key_values=expanded(cache, 1),
            position_ids=places[None],
        )
    return entering, calls


def _read_without_context(model: CausalLM, calls: Sequence[Visit]) -> list[Tensor]:
    """Read the MLP's inputs where every layer sees the query's own tokens alone."""
    layers = modules_at(model.model, "layer_input")
    entering: list[Tensor] = []
    with hooked(model.model, "mlp_input", _keep_last(entering)):
        for layer, call in zip(layers, calls, strict=True):
            _run_without_context(layer, call)
    return entering


def _keep_last(kept: list[Tensor]) -> Act:
    """Make the act that keeps the last token of what passes."""
    return lambda visit: kept.append(
        visit.tensor.reshape(-1, visit.tensor.shape[-1])[-1]
    )


def _compare(mlp: nn.Module, bare: Tensor, entering: Tensor) -> Tensor:
    """Give the norms of the patched MLP's error and of the context's effect."""
    patched = {
        f"{name}.weight": weight + rank_one_patch(weight, bare, entering - bare)
        for name, weight in _first_weights(mlp, bare).items()
    }
    wanted, without = mlp(entering), mlp(bare)
    error = functional_call(mlp, patched, (bare,)) - wanted
    return torch.stack([error.norm(), (wanted - without).norm()])


def _run_without_context(layer: nn.Module, call: Visit) -> None:
    """Run a layer again, with no keys and values but those of its own tokens.

    Only the last token is read, which sees them all, so no mask is needed. A sliding
    window that is shorter than the query is ignored.
    """
    from transformers import Cache

    given = inspect.signature(layer.forward).bind(*call.arguments, **call.keywords)
    for name, value in [*given.arguments.items(), *given.kwargs.items()]:
        if isinstance(value, Cache):
            given.arguments[name] = None
    given.arguments["attention_mask"] = None
    layer(*given.args, **given.kwargs)


def _first_weights(mlp: nn.Module, entering: Tensor) -> dict[str, Tensor]:
    """Find the weights that read the MLP's input: one matrix, or gate and up."""
    linear = {n: m for n, m in mlp.named_modules() if isinstance(m, nn.Linear)}
    names, reading = list(linear), list[int]()

    def note(visit: Visit) -> None:
        if visit.tensor is entering:
            reading.append(visit.index)

    with hooked_modules(dict(enumerate(linear.values())), "input", note):
        mlp(entering)
    if not reading:
        raise _not_linear(mlp)
    return {names[index]: linear[names[index]].weight for index in reading}


def _require_linear(model: Any) -> None:
    """Refuse matrices of other shapes before anything is computed.

    Raises:
        ModelError: The architecture stores its matrices transposed.
    """
    if architecture_of(model).is_transposed:
        raise _not_linear(modules_at(model, "mlp_input")[0])


def _not_linear(mlp: nn.Module) -> ModelError:
    return ModelError(
        f"No linear module of {type(mlp).__name__} reads its input. Expected an MLP "
        f"that begins with torch.nn.Linear. Leave the claim about rank-one patches out "
        f"for this model."
    )
