"""The context as a rank-one change of the MLP's first weights, layer by layer.

Dherin et al. 2025, arXiv:2507.16003, Theorem 2.2. It is an identity: M_W(z) = f(W z)
depends on its input through W z alone, so W may carry what z does not.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from probes.errors import ModelError
from probes.models.causal_lm.causal_lm import CausalLM, expanded
from probes.models.causal_lm.frozen_layers import Replay


def rank_one_patch(weight: Tensor, bare: Tensor, change: Tensor) -> Tensor:
    """Compute ΔW = (W ΔA) A(x)ᵀ / ‖A(x)‖².

    Args:
        weight: W, shape (d_out, d_in).
        bare: A(x), what enters the MLP without the context, shape (d_in,).
        change: ΔA, what the context adds to it, shape (d_in,).
    """
    return torch.outer(weight @ change, bare) / bare.square().sum()


def patch_errors(
    model: CausalLM, prompts: Sequence[Sequence[int]], n_own: Sequence[int]
) -> Tensor:
    """Compare, in every layer, the MLP after the context with the patched MLP without.

    The layer's input is as in the whole prompt; "without", the query's own tokens see
    each other only in this layer's attention. The residual stream around the MLP is not
    patched: there the context acts by addition. A context that the next prompt has too
    is read once.

    Args:
        model: The loaded model; float64 shows that only rounding is left.
        prompts: Token ids of each.
        n_own: The query's own tokens, at the end of each prompt.

    Returns:
        The norm of the patched MLP's error and of the context's effect on the MLP's
        output at the last token, shape (n_prompts, n_layers, 2).

    Raises:
        ModelError: The architecture has no MLP whose first weights are linear modules.
    """
    layers = Replay(model.model, 1).layers
    mlps = [_mlp_of(layer) for layer in layers]
    held, cache, found = None, None, []
    with torch.inference_mode():
        for prompt, n in zip(prompts, n_own, strict=True):
            context, own = list(prompt[:-n]), list(prompt[-n:])
            if context != held:
                held, cache = context, model.prefill(context)
            found.append(_errors_of(model, layers, mlps, cache, len(context), own))
    return torch.stack(found).cpu()


def _errors_of(
    model: CausalLM,
    layers: nn.ModuleList,
    mlps: Sequence[nn.Module],
    cache: Any,
    n_context: int,
    own: list[int],
) -> Tensor:
    """Give the norms of one query after a context, shape (n_layers, 2)."""
    calls: list[tuple[Any, dict[str, Any]]] = []
    seen: list[Tensor] = []
    with contextlib.ExitStack() as hooks:
        for layer, mlp in zip(layers, mlps, strict=True):
            note = layer.register_forward_pre_hook(
                lambda _, args, kwargs: calls.append((args, kwargs)), with_kwargs=True
            )
            hooks.enter_context(note)
            hooks.enter_context(_noting(mlp, seen))
        places = torch.arange(n_context, n_context + len(own), device=model.device)
        model.logits(
            torch.tensor([own], device=model.device),
            torch.tensor([0], device=model.device),
            past_key_values=expanded(cache, 1),
            position_ids=places[None],
        )
    bare: list[Tensor] = []
    for layer, mlp, (args, kwargs) in zip(layers, mlps, calls, strict=True):
        with _noting(mlp, bare):
            _run_without_context(layer, args, kwargs)
    return torch.stack([_compare(*each) for each in zip(mlps, bare, seen, strict=True)])


def _compare(mlp: nn.Module, bare: Tensor, seen: Tensor) -> Tensor:
    patched = {
        f"{name}.weight": weight + rank_one_patch(weight, bare, seen - bare)
        for name, weight in _readers(mlp, bare).items()
    }
    wanted, without = mlp(seen), mlp(bare)
    error = functional_call(mlp, patched, (bare,)) - wanted
    return torch.stack([error.norm(), (wanted - without).norm()])


def _noting(mlp: nn.Module, found: list[Tensor]) -> Any:
    """Note what enters an MLP at the last token, while the context lasts."""
    return mlp.register_forward_pre_hook(
        lambda _, inputs: found.append(inputs[0].reshape(-1, inputs[0].shape[-1])[-1])
    )


def _run_without_context(layer: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
    """Run a layer again, where its tokens see no keys but their own.

    Of those the last sees all, and it is the one that is noted: no mask is needed. A
    window of attention that is shorter than they are is not kept.
    """
    from transformers import Cache

    given = inspect.signature(layer.forward).bind(*args, **kwargs)
    for name, value in [*given.arguments.items(), *given.kwargs.items()]:
        if isinstance(value, Cache):
            given.arguments[name] = None
    given.arguments["attention_mask"] = None
    layer(*given.args, **given.kwargs)


def _readers(mlp: nn.Module, entering: Tensor) -> dict[str, Tensor]:
    """Find the weights that read the MLP's input: one matrix, or gate and up."""
    found: dict[str, Tensor] = {}

    def note(name: str, module: nn.Linear) -> Any:
        def read(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            if inputs[0] is entering:
                found[name] = module.weight

        return module.register_forward_pre_hook(read)

    linear = {n: m for n, m in mlp.named_modules() if isinstance(m, nn.Linear)}
    hooks = [note(name, module) for name, module in linear.items()]
    mlp(entering)
    for hook in hooks:
        hook.remove()
    if not found:
        raise ModelError(
            f"No linear module of {type(mlp).__name__} reads its input. Expected an "
            f"MLP that begins with torch.nn.Linear. Leave the claim about rank-one "
            f"patches out for this model."
        )
    return found


def _mlp_of(layer: nn.Module) -> nn.Module:
    found = [m for m in layer.children() if type(m).__name__.endswith("MLP")]
    if len(found) != 1:
        raise ModelError(
            f"{type(layer).__name__} has {len(found)} modules named as an MLP. "
            f"Expected one. Leave the claim about rank-one patches out for this model."
        )
    return found[0]
