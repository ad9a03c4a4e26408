"""The context as a rank-one change of the MLP of every layer at once.

Goldwaser et al. 2025, arXiv:2511.17864. A layer is h = x + attention(x), then
y = h + W_D m, where m = act(W_G z) ⊙ (W_U z) and z = norm(h). Let h₀, z₀ be those of
the bare query's last token in the changed network, and h, z, m those after the context.
Then ΔW_G = W_G (z − z₀) z₀ᵀ/‖z₀‖², the same for W_U, and ΔW_D = (h − h₀) mᵀ/‖m‖²: the
first two give the bare query the m of the context, the third adds what attention
brought into the residual stream. So y is that after the context, layer by layer. It is
an identity: the change is another one for every query.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from probes.errors import ModelError
from probes.models.architectures import architecture_of
from probes.models.capabilities import no_all_layers_patch
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.hooks import Visit, hooked, hooked_modules
from probes.models.causal_lm.implicit_weight_update import rank_one_patch

Pair = tuple[Sequence[int], Sequence[int]]
"""A query's tokens after its context, and alone."""
MATRICES = ("gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, kw_only=True)
class LastToken:
    """What passes through a network at a prompt's last token.

    Attributes:
        before_mlp: h of each layer, shape (d_model,).
        into_mlp: z of each layer, shape (d_model,).
        after_layer: y of each layer, shape (d_model,).
        logits: Shape (n_vocab,).
    """

    before_mlp: list[Tensor]
    into_mlp: list[Tensor]
    after_layer: list[Tensor]
    logits: Tensor


def all_layers_patch_errors(model: CausalLM, pairs: Sequence[Pair]) -> Tensor:
    """Compare the answer after a context with that of changed weights without it.

    The changed network reads the bare query from its first layer to its last, and
    nothing else of the context enters it.

    Args:
        model: The loaded model; float64 shows that only rounding is left.
        pairs: Every query after its context and alone.

    Returns:
        The norm of the changed network's error and of the context's effect, at the last
        token after each layer, and in the logits; shape (n_pairs, n_layers + 1, 2).

    Raises:
        ModelError: The layers are not as above.
    """
    norms, mlps = _gated_blocks(model.model)
    errors = []
    with torch.no_grad():
        for after_context, alone in pairs:
            wanted = _read(model, norms, after_context)
            bare = _read(model, norms, alone)
            with _changed(model, norms, mlps, wanted, alone):
                patched = _read(model, norms, alone)
            errors.append(_compare(wanted, bare, patched))
    return torch.stack(errors).cpu()


def patch_layer(
    mlp: Any, wanted: tuple[Tensor, Tensor], bare: Tensor, z: Tensor
) -> Any:
    """Compute a layer's changes of W_G, W_U and W_D, each of rank one.

    Args:
        mlp: The layer's MLP.
        wanted: h and z after the context, each of shape (d_model,).
        bare: h₀, the bare query's, shape (d_model,).
        z: z₀, the bare query's, shape (d_model,).

    Returns:
        The changes by the name of their matrix, each of the shape of its weight.
    """
    h, change = wanted[0], wanted[1] - z
    m = mlp.act_fn(mlp.gate_proj(wanted[1])) * mlp.up_proj(wanted[1])
    return {
        "gate_proj": rank_one_patch(mlp.gate_proj.weight, z, change),
        "up_proj": rank_one_patch(mlp.up_proj.weight, z, change),
        "down_proj": torch.outer(h - bare, m) / m.square().sum(),
    }


@contextlib.contextmanager
def _changed(
    model: CausalLM,
    norms: Sequence[nn.Module],
    mlps: Sequence[Any],
    wanted: LastToken,
    alone: Sequence[int],
) -> Iterator[None]:
    """Change the weights while the context is open, the lowest layer first.

    A layer's change depends on what the bare query brings from the changed layers
    below, so it is made in the moment in which the query enters the layer's MLP.
    """
    kept = {(mlp, name): getattr(mlp, name).weight for mlp in mlps for name in MATRICES}
    entering: list[Tensor] = []

    def change(visit: Visit) -> None:
        layer, mlp = visit.index, mlps[visit.index]
        after_context = wanted.before_mlp[layer], wanted.into_mlp[layer]
        z = visit.tensor[0, -1]
        for name, by in patch_layer(mlp, after_context, entering[layer], z).items():
            changed = kept[mlp, name] + by
            getattr(mlp, name).weight = nn.Parameter(changed, requires_grad=False)

    try:
        with (
            hooked_modules(dict(enumerate(norms)), "input", _keep_last(entering)),
            hooked(model.model, "mlp_input", change),
        ):
            _run(model, alone)
        yield
    finally:
        for (mlp, name), weight in kept.items():
            getattr(mlp, name).weight = weight


def _read(
    model: CausalLM, norms: Sequence[nn.Module], prompt: Sequence[int]
) -> LastToken:
    """Run a prompt and read its last token on the way."""
    h, z, y = list[Tensor](), list[Tensor](), list[Tensor]()
    with (
        hooked_modules(dict(enumerate(norms)), "input", _keep_last(h)),
        hooked(model.model, "mlp_input", _keep_last(z)),
        hooked(model.model, "layer_output", _keep_last(y)),
    ):
        logits = _run(model, prompt)
    return LastToken(before_mlp=h, into_mlp=z, after_layer=y, logits=logits)


def _run(model: CausalLM, prompt: Sequence[int]) -> Tensor:
    ids = torch.tensor([list(prompt)], device=model.device)
    return model.logits(ids, torch.tensor([ids.shape[1] - 1], device=model.device))[
        0, 0
    ]


def _keep_last(kept: list[Tensor]) -> Any:
    """Make the act that keeps the last token of what passes."""
    return lambda visit: kept.append(visit.tensor[0, -1])


def _compare(wanted: LastToken, bare: LastToken, patched: LastToken) -> Tensor:
    """Give norms of error and effect after each layer, and in the logits."""

    def places(read: LastToken) -> list[Tensor]:
        return [*read.after_layer, read.logits]

    triples = zip(places(wanted), places(bare), places(patched), strict=True)
    return torch.stack(
        [
            torch.stack([(found - goal).norm(), (goal - alone).norm()])
            for goal, alone, found in triples
        ]
    )


def _gated_blocks(model: Any) -> tuple[list[nn.Module], list[Any]]:
    """Find the norm before the MLP, and the MLP, of every layer.

    Raises:
        ModelError: The layers have others, or none.
    """
    architecture = architecture_of(model)
    reason = no_all_layers_patch(architecture)
    if reason:
        raise ModelError(
            f"The context of {type(model).__name__} cannot be written as rank-one "
            f"changes of all layers: {reason}. Expected gated MLPs behind RMS norms, "
            f"as in a Llama. Leave this claim out for this model."
        )
    norms = architecture.modules_of(model, architecture.norm_of_gated_mlp)
    return norms, architecture.modules_of(model, *architecture.mlp)
