"""Large steps in parts: gradients are added up before any weight moves.

A step on 512 demonstrations has too many tokens for the activations of all to be in
memory at a time.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from probes.models.training.parametrization import widened
from probes.models.weights.gradients import Gradient, GradientReceiver, materialize

MOST_TOKENS = 4096
"""Tokens of a part, as in a stack of small models. Training LLaMA-7B on 378 tokens took
54.1 GiB at its peak, of which weights were 50.8: 9 MiB a token, 36 GiB a whole part."""

Differentiate = Callable[[Tensor, GradientReceiver], Tensor]
"""Hands over the gradients of the mean loss of some examples, and returns it."""


def in_parts(
    picked: Tensor,
    n_tokens: int,
    differentiate: Differentiate,
    receive: GradientReceiver,
) -> Tensor:
    """Hand over the gradients of one step, computed in parts if it is large.

    Args:
        picked: The examples of the step, shape (n_runs, n_examples).
        n_tokens: Tokens of each example.
        differentiate: Computes the gradients of some of the examples.
        receive: Receives each gradient once. In a step of several parts these are sums
            in float32 or wider, which are in memory at once.

    Returns:
        The mean losses, shape (n_runs,).
    """
    n_runs, n_examples = picked.shape
    size = max(1, MOST_TOKENS // (n_runs * n_tokens))
    if size >= n_examples:
        return differentiate(picked, receive)
    sums: dict[str, Tensor] = {}
    losses = []
    for part in torch.split(picked, size, dim=1):
        share = part.shape[1] / n_examples

        def add(name: str, gradient: Gradient, share: float = share) -> None:
            computed = materialize(gradient)
            wide = computed.to(widened(computed.dtype)) * share
            sums[name] = sums[name].add_(wide) if name in sums else wide

        losses.append(differentiate(part, add) * share)
    for name in list(sums):
        receive(name, sums.pop(name))
    return torch.stack(losses).sum(dim=0)
