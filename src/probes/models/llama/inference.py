"""Next-token log-probabilities of many prompts, by the written-out Llama family."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from probes.errors import NumericsError
from probes.models.llama.architecture import is_llama_family
from probes.models.llama.linear_maps import EMBEDDING, NamedWeights
from probes.models.llama.model import Llama
from probes.models.llama.prefix_attention import PrefixAttention
from probes.models.llama.prefix_tree import (
    PrefixTree,
    Prompt,
    batch_trees,
    build_prefix_tree,
)
from probes.models.runtime.oom_halving import out_of_memory_error
from probes.models.runtime.thread_pool import n_threads_for, run_in_threads

MIN_TOKENS = 192
"""Tokens of a pass, however many weights are stacked. Smaller products are slow."""
LOGITS_AT_ONCE = {"cpu": 1 << 17, "cuda": 1 << 25}
"""Logits normalized at a time: half a megabyte, which stays in a CPU's cache."""
LogProbs = NDArray[np.float32]
TOKENS_PER_PASS = {"cpu": 1280, "cuda": 4096}
"""Enough for products at full speed. Few enough for activations to fit in a CPU's
cache, and for prompts of similar length to be batched: attention pads them."""
MIN_TOKENS_TO_PACK = 2048
"""Tokens asked of trained weights. With fewer, packing the weights does not pay."""


def ask(
    llama: Llama,
    groups: Sequence[Sequence[Prompt]],
    weights: NamedWeights,
    n_read: Sequence[Sequence[int]] | None = None,
) -> tuple[list[LogProbs], int]:
    """Ask groups of prompts, computing each group's common prefix once.

    Args:
        llama: The model.
        groups: At least one prompt each, of at least one token.
        weights: They replace the model's own, and may be stacked.
        n_read: After how many of its last tokens each prompt is answered; None: only
            after the last one.

    Returns:
        For each group natural logarithms, shape (n_stacks, n_answers, n_vocab),
        float32, prompt by prompt; and the number of passes.

    Raises:
        NumericsError: The model answered NaN or infinite logits.
    """
    trees = [
        build_prefix_tree(group, prompts, n_read[group] if n_read else None)
        for group, prompts in enumerate(groups)
    ]
    n_tokens = sum(tree.n_tokens for tree in trees)
    if weights and llama.n_stacks(weights) == 1 and n_tokens >= MIN_TOKENS_TO_PACK:
        llama, weights = llama.with_weights(weights), {}
    max_tokens = TOKENS_PER_PASS.get(llama.device.type, 1280)
    # Layers below the stacked weights run once, those above for every member.
    above = llama.share_of_layers_above(weights) * (llama.n_stacks(weights) - 1)
    max_tokens = max(min(max_tokens, MIN_TOKENS), int(max_tokens / (1 + above)))
    while True:
        try:
            return _ask(llama, trees, weights, max_tokens)
        except torch.OutOfMemoryError as error:
            if max_tokens == 1:
                raise out_of_memory_error("one prompt", error) from error
        torch.cuda.empty_cache()  # does nothing if no GPU was used
        max_tokens //= 2


def _ask(
    llama: Llama, trees: Sequence[PrefixTree], weights: NamedWeights, max_tokens: int
) -> tuple[list[LogProbs], int]:
    n = n_threads_for(llama.n_bytes, llama.device)
    pass_lists = list(_plan_passes(trees, max_tokens, n))
    answers = _empty_answers(llama, trees, weights)
    places = {tree.group: _places(tree) for tree in trees}

    def run_pass(
        part: Sequence[PrefixTree], after: PrefixAttention | None
    ) -> PrefixAttention:
        attention, log_probs = _answer(llama, part, after, weights)
        done = 0
        for tree in part:
            rows = [row for i in tree.indices for row in places[tree.group][i]]
            answers[tree.group][:, rows] = log_probs[:, done : done + len(rows)]
            done += len(rows)
        return attention

    def run_lists(some: Sequence[list[Sequence[PrefixTree]]]) -> None:
        """Run the first pass of each list, then all others."""
        first = run_in_threads(lambda parts: run_pass(parts[0], None), some, n=n)
        others = [
            (part, after)
            for parts, after in zip(some, first, strict=True)
            for part in parts[1:]
        ]
        run_in_threads(lambda other: run_pass(*other), others, n=n)

    for start in range(0, len(pass_lists), n):
        run_lists(pass_lists[start : start + n])  # then free their caches
    return [answers[group] for group in range(len(trees))], sum(map(len, pass_lists))


def _places(tree: PrefixTree) -> dict[int, range]:
    """Find the answers of each prompt among its group's, prompt by prompt."""
    n_read = dict(zip(tree.indices, tree.n_read, strict=True))
    ends = list(accumulate(n_read[i] for i in range(len(n_read))))
    return {i: range(end - n_read[i], end) for i, end in enumerate(ends)}


def _empty_answers(
    llama: Llama, trees: Sequence[PrefixTree], weights: NamedWeights
) -> dict[int, LogProbs]:
    n_vocab = len(llama.weight(llama.head + ".weight", {}))
    n_stacks = llama.n_stacks(weights)
    return {
        tree.group: np.empty((n_stacks, sum(tree.n_read), n_vocab), dtype=np.float32)
        for tree in trees
    }


def _answer(
    llama: Llama,
    trees: Sequence[PrefixTree],
    after: PrefixAttention | None,
    weights: NamedWeights,
) -> tuple[PrefixAttention, LogProbs]:
    """Run one pass; answers have shape (n_stacks, n_answers, n_vocab), tree by tree."""
    attention = PrefixAttention.of(trees, llama.device, after=after)
    hidden = llama.embed(attention.layout.ids, weights)
    return attention, log_probs_of(llama.logits(hidden, attention, weights))


def _plan_passes(
    trees: Sequence[PrefixTree], max_tokens: int, n_threads: int
) -> Iterator[list[Sequence[PrefixTree]]]:
    """List passes that share prefixes; the first of each list computes them."""
    for batch in batch_trees(trees, max_tokens=max_tokens):
        if n_threads > 1 and len(batch) == 1 and batch[0].n_tokens > max_tokens:
            for parts in batch[0].split_evenly(
                max_tokens, min_tokens=min(max_tokens, MIN_TOKENS), n_threads=n_threads
            ):
                yield [[part] for part in parts]
        else:
            yield list(zip(*(tree.split(max_tokens) for tree in batch), strict=True))


def llama_if_equivalent(model: Any) -> Llama | None:
    """Write a model out if it is of the family and answers two prompts as it does.

    The comparison notices settings of the model that this code does not know.
    """
    if not is_llama_family(model):
        return None
    llama = Llama(model)
    n_vocab = llama.own[EMBEDDING].shape[0]
    prompts = [[(7 * i + n) % n_vocab for i in range(n)] for n in (11, 6)]
    with torch.inference_mode():
        (ours,), _ = ask(llama, [prompts], {})
        logits = [model(torch.tensor([p], device=llama.device)).logits for p in prompts]
        theirs = log_probs_of(torch.stack([each[0, -1].float() for each in logits]))
    eps = torch.finfo(next(iter(llama.own.values())).dtype).eps
    allowed = max(8 * eps, 1e-4) * max(1.0, float(np.abs(theirs).max()))
    return llama if float(np.abs(ours[0] - theirs).max()) <= allowed else None


def log_probs_of(logits: Tensor) -> LogProbs:
    """Normalize logits (…, n_vocab), which are overwritten.

    Only the normalizer is float64, so float32 log-probabilities are rounded twice, each
    time by at most half a unit in the last place: the normalizer and the result.

    Raises:
        NumericsError: Some logits are NaN or infinite.
    """
    flat = logits.reshape(-1, logits.shape[-1])
    flat = flat.float() if flat.dtype.itemsize < 4 else flat
    at_once = LOGITS_AT_ONCE.get(logits.device.type, 1 << 17)
    for part in torch.split(flat, max(1, at_once // flat.shape[1])):
        largest, least = (f(-1, keepdim=True) for f in (part.amax, part.amin))
        if not torch.isfinite(largest - least).all():  # true if any is not finite
            raise _not_finite(flat)
        masses = torch.exp_(part - largest).sum(-1, keepdim=True)
        normalizer = largest.double() + masses.double().log()
        part.sub_(normalizer.to(part.dtype))
    return np.asarray(flat.reshape(logits.shape).cpu().numpy(), dtype=np.float32)


def _not_finite(logits: Tensor) -> NumericsError:
    broken = int((~torch.isfinite(logits)).any(dim=-1).sum())
    return NumericsError(
        f"The model answered NaN or infinite logits for {broken} of "
        f"{len(logits)} prompts. Expected finite logits. "
        f"Pass --dtype float32, or check the weights."
    )
