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
from probes.networks.causal_lm import CausalLM
from probes.networks.replay import Replay


def rank_one_patch(weight: Tensor, bare: Tensor, change: Tensor) -> Tensor:
    """Compute ΔW = (W ΔA) A(x)ᵀ / ‖A(x)‖².

    Args:
        weight: W, shape (d_out, d_in).
        bare: A(x), what enters the MLP without the context, shape (d_in,).
        change: ΔA, what the context adds to it, shape (d_in,).
    """
    return torch.outer(weight @ change, bare) / bare.square().sum()


def patch_errors(model: CausalLM, prompt: Sequence[int], n_own: int) -> Tensor:
    """Compare, in every layer, the MLP after the context with the patched MLP without.

    The layer's input is as in the whole prompt; "without" masks all tokens before the
    query's own in this layer's attention. The residual stream around the MLP is not
    patched: there the context acts by addition.

    Args:
        model: The loaded model; float64 shows that only rounding is left.
        prompt: Token ids.
        n_own: The query's own tokens, at the end of the prompt.

    Returns:
        The norm of the patched MLP's error and of the context's effect on the MLP's
        output at the last token, shape (n_layers, 2).

    Raises:
        ModelError: The architecture has no MLP whose first weights are linear modules.
    """
    layers = Replay(model.model, 1).layers
    mlps = [_mlp_of(layer) for layer in layers]
    calls: list[tuple[Any, dict[str, Any]]] = []
    seen: list[Tensor] = []
    ids = torch.tensor([list(prompt)], device=model.device)
    with torch.inference_mode():
        with contextlib.ExitStack() as hooks:
            for layer, mlp in zip(layers, mlps, strict=True):
                note = layer.register_forward_pre_hook(
                    lambda _, args, kwargs: calls.append((args, kwargs)),
                    with_kwargs=True,
                )
                hooks.enter_context(note)
                hooks.enter_context(_noting(mlp, seen))
            model.logits(ids, torch.tensor([0], device=model.device))
        mask = _without_context(len(prompt), n_own, calls[0][0][0])
        bare: list[Tensor] = []
        for layer, mlp, (args, kwargs) in zip(layers, mlps, calls, strict=True):
            with _noting(mlp, bare):
                _run_masked(layer, args, kwargs, mask)
        found = [_compare(*each) for each in zip(mlps, bare, seen, strict=True)]
    return torch.stack(found).cpu()


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


def _run_masked(
    layer: nn.Module, args: Any, kwargs: dict[str, Any], mask: Tensor
) -> None:
    masked = inspect.signature(layer.forward).bind(*args, **kwargs)
    masked.arguments["attention_mask"] = mask
    layer(*masked.args, **masked.kwargs)


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


def _without_context(n_tokens: int, n_own: int, hidden: Tensor) -> Tensor:
    """Write an additive mask: causal, and the query's tokens see each other only."""
    places = torch.arange(n_tokens, device=hidden.device)
    own = places >= n_tokens - n_own
    seen = (places[:, None] >= places) & (own[:, None] == own)
    mask = torch.zeros(n_tokens, n_tokens, dtype=hidden.dtype, device=hidden.device)
    return mask.masked_fill(~seen, torch.finfo(hidden.dtype).min)[None, None]
