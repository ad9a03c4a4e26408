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
from probes.models.capabilities import no_context_patch
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.hooks import (
    Act,
    Visit,
    hooked,
    hooked_modules,
    modules_at,
)
from probes.models.causal_lm.library_forward import expanded

EPS_LOST = 1e4
"""An effect below this many units of rounding of the output is none: sums over ten
thousand numbers may lose four digits."""


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
        output at the last token, shape (n_prompts, n_layers, 2). Both are 0 if the
        effect is lost in rounding, as where a window of attention hides the context.

    Raises:
        ModelError: The architecture has no MLP whose first weights are linear modules,
            or the context does not reach its input.
    """
    mlps = _mlps_after_attention(model)
    held, cache, errors = None, None, []
    with torch.inference_mode():
        for prompt, n in zip(prompts, n_own, strict=True):
            context, own = list(prompt[:-n]), list(prompt[-n:])
            if context != held:
                held, cache = context, model.prefill(context)
            with_context, calls = _read_with_context(model, cache, len(context), own)
            bare = _read_without_context(model, calls, len(own))
            compared = zip(mlps, bare, with_context, strict=True)
            errors.append(torch.stack([_compare(*layer) for layer in compared]))
    found = torch.stack(errors).cpu()
    is_reached = (found[..., 1] > 0).any(dim=-1)
    if not is_reached.all():
        raise ModelError(
            f"The context changes the output of the MLP in no layer of "
            f"{type(model.model).__name__} for {int((~is_reached).sum())} of "
            f"{len(prompts)} queries. Expected an effect that a patch could match; "
            f"with none, every formula is exact. Leave the claim about rank-one "
            f"patches out for this model, or take shorter queries if its attention "
            f"has a window."
        )
    return found


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


def _read_without_context(
    model: CausalLM, calls: Sequence[Visit], n_own: int
) -> list[Tensor]:
    """Read the MLP's inputs where every layer sees the query's own tokens alone."""
    layers = modules_at(model.model, "layer_input")
    entering: list[Tensor] = []
    with hooked(model.model, "mlp_input", _keep_last(entering)):
        for layer, call in zip(layers, calls, strict=True):
            _run_without_context(layer, call, n_own)
    return entering


def _keep_last(kept: list[Tensor]) -> Act:
    """Make the act that keeps the last token of what passes."""
    return lambda visit: kept.append(
        visit.tensor.reshape(-1, visit.tensor.shape[-1])[-1]
    )


def _compare(mlp: nn.Module, bare: Tensor, entering: Tensor) -> Tensor:
    """Give the norms of the patched MLP's error and of the context's effect."""
    patched = {}
    for name, module in _first_modules(mlp, bare[None, None]).items():
        turned = not isinstance(module, nn.Linear)  # a Conv1D has shape (d_in, d_out)
        weight = module.weight.T if turned else module.weight
        changed = weight + rank_one_patch(weight, bare, entering - bare)
        patched[f"{name}.weight"] = changed.T if turned else changed
    inputs = [_inputs(mlp, x[None, None]) for x in (entering, bare)]
    wanted, without = (mlp(*given) for given in inputs)
    error = functional_call(mlp, patched, inputs[1]) - wanted
    effect = (wanted - without).norm()
    rounding = EPS_LOST * torch.finfo(wanted.dtype).eps * wanted.norm()
    norms = torch.stack([error.norm(), effect])
    return norms if effect > rounding else torch.zeros_like(norms)


def _inputs(mlp: nn.Module, entering: Tensor) -> tuple[Tensor, ...]:
    """Give an MLP its input, and zeros as the residual stream if it adds one itself.

    Args:
        mlp: The MLP.
        entering: Shape (1, 1, d_model), as inside the model.
    """
    parameters = inspect.signature(mlp.forward).parameters.values()
    n_required = sum(p.default is inspect.Parameter.empty for p in parameters)
    return (entering, *[torch.zeros_like(entering)] * (n_required - 1))


def _run_without_context(layer: nn.Module, call: Visit, n_own: int) -> None:
    """Run a layer again, with no keys and values but those of its own tokens."""
    from transformers import Cache

    given = inspect.signature(layer.forward).bind(*call.arguments, **call.keywords)
    for name, value in [*given.arguments.items(), *given.kwargs.items()]:
        if isinstance(value, Cache):
            given.arguments[name] = None
    for name in ("attention_mask", "alibi"):  # of all keys; ours are the last
        if isinstance(of_keys := given.arguments.get(name), Tensor):
            given.arguments[name] = of_keys[..., -n_own:]
    layer(*given.args, **given.kwargs)


def _first_modules(mlp: nn.Module, entering: Tensor) -> dict[str, Any]:
    """Find the modules that read the MLP's input: one matrix, or gate and up."""
    from transformers.pytorch_utils import Conv1D

    linear = {
        name: module
        for name, module in mlp.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
    }
    names, reading = list(linear), list[int]()

    def note(visit: Visit) -> None:
        if visit.tensor is entering:
            reading.append(visit.index)

    with hooked_modules(dict(enumerate(linear.values())), "input", note):
        mlp(*_inputs(mlp, entering))
    if not reading:
        raise ModelError(
            f"No linear module of {type(mlp).__name__} reads its input. Expected an "
            f"MLP that begins with a matrix. Leave the claim about rank-one patches "
            f"out for this model."
        )
    return {names[index]: linear[names[index]] for index in reading}


def _mlps_after_attention(lm: CausalLM) -> list[nn.Module]:
    """Find the MLP of every layer, as one module.

    Raises:
        ModelError: The MLP is none, or a choice of several, or does not read what
            attention adds to the residual stream. Or no context can be cached.
    """
    model = lm.model
    architecture, config = architecture_of(model), model.config.get_text_config()
    reason = no_context_patch(architecture, config)
    if not reason and not lm.shares_prefixes:
        reason = "it keeps no keys and values that prompts could share"
    if reason:
        raise ModelError(
            f"{type(model).__name__} has no MLP that a rank-one patch could change: "
            f"{reason}. Expected an MLP after attention in every layer, and keys and "
            f"values in a cache. Leave the claim about rank-one patches out for this "
            f"model."
        )
    parts = [architecture.modules_of(model, path) for path in architecture.mlp]
    if len(parts) == 1:
        return parts[0]
    return [nn.Sequential(*of_layer) for of_layer in zip(*parts, strict=True)]
