"""Hidden states at the last token: read after every layer, or put in place of one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from probes.models.causal_lm.causal_lm import TOKENS_A_BATCH, CausalLM, padded
from probes.models.causal_lm.frozen_layers import Replay

States = NDArray[np.float32]
LogProbs = NDArray[np.float32]
Form = Literal["replaced", "added"]
Change = Callable[[int, Tensor], Tensor | None]


def states_at_the_end(model: CausalLM, prompts: Sequence[Sequence[int]]) -> States:
    """Read the residual stream after every layer at each prompt's last token.

    Returns:
        Shape (n_prompts, n_layers, d_model), float32.
    """
    found: dict[int, Tensor] = {}
    ids, lengths = padded(prompts, model.device)
    with torch.inference_mode(), _watching(model, lengths - 1, found.__setitem__):
        model.logits(ids, torch.tensor([0], device=model.device))
    stacked = torch.stack([found[layer] for layer in sorted(found)], dim=1)
    return np.asarray(stacked.float().cpu().numpy(), dtype=np.float32)


def log_probs_with(
    model: CausalLM,
    prompts: Sequence[Sequence[int]],
    layer: int,
    state: States,
    *,
    form: Form,
) -> LogProbs:
    """Answer prompts whose last token is given another hidden state after a layer.

    Args:
        model: The loaded model.
        prompts: Token ids, at least one token each.
        layer: From 0.
        state: Shape (d_model,).
        form: "replaced" puts it in place of the token's own, "added" adds it.

    Returns:
        Natural logarithms, shape (n_prompts, n_vocab), float32.
    """
    found = []
    size = max(1, TOKENS_A_BATCH // max(map(len, prompts)))
    for start in range(0, len(prompts), size):
        ids, lengths = padded(prompts[start : start + size], model.device)
        last = lengths - 1
        columns = torch.unique(last)  # sorted
        put = _at_layer(layer, state, form)
        with torch.inference_mode(), _watching(model, last, put):
            logits = model.logits(ids, columns)
        rows = torch.arange(len(ids), device=model.device)
        found.append(logits[rows, torch.searchsorted(columns, last)])
    log_probs = torch.log_softmax(torch.cat(found).double(), dim=-1)
    return np.asarray(log_probs.float().cpu().numpy(), dtype=np.float32)


def _at_layer(wanted: int, state: States, form: Form) -> Change:
    def put(layer: int, old: Tensor) -> Tensor | None:
        if layer != wanted:
            return None
        given = torch.from_numpy(state).to(old)
        return given if form == "replaced" else old + given

    return put


@contextlib.contextmanager
def _watching(model: CausalLM, last: Tensor, change: Change) -> Iterator[None]:
    """Hand every layer's output at the last tokens over, and take what is given back.

    Args:
        model: The loaded model.
        last: The last token of each prompt, shape (n_prompts,).
        change: Called with the layer and (n_prompts, d_model); None changes nothing.
    """
    rows = torch.arange(len(last), device=model.device)

    def hook(layer: int) -> Any:
        def after(_: nn.Module, inputs: Any, output: Any) -> Any:
            whole = output[0] if isinstance(output, tuple) else output
            state = change(layer, whole[rows, last])
            if state is None:
                return None
            whole = whole.clone()
            whole[rows, last] = state
            return (whole, *output[1:]) if isinstance(output, tuple) else whole

        return after

    with contextlib.ExitStack() as hooks:
        for layer, module in enumerate(Replay(model.model, 1).layers):
            hooks.enter_context(module.register_forward_hook(hook(layer)))
        yield
