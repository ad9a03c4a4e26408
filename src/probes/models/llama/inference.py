"""Next-token log-probabilities of many prompts by the written-out Llama family."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from probes.errors import NumericsError
from probes.models.llama.model import EMBEDDING, Llama, Weights, is_written
from probes.models.llama.prefix_attention import Forest
from probes.models.llama.prefix_tree import Prompt, Tree, passes, tree_of
from probes.models.runtime.oom_halving import memory_error
from probes.models.runtime.thread_pool import abreast, n_abreast

LEAST_TOKENS = 192
"""Of a pass, however many weights are stacked: below it products are slow."""
NORMALISED = {"cpu": 1 << 17, "cuda": 1 << 25}
"""Logits normalised at a time: half a megabyte, which stays in a CPU's cache."""
LogProbs = NDArray[np.float32]
TOKENS_A_PASS = {"cpu": 1280, "cuda": 4096}
"""Enough for products at full speed, few enough for activations in a CPU's cache, and
for prompts of like length to stand together: all are padded where they attend."""
WORTH_PACKING = 2048
"""Tokens: weights that moved are asked so much before packing them repays itself."""


def ask(
    llama: Llama, groups: Sequence[Sequence[Prompt]], weights: Weights
) -> tuple[list[LogProbs], int]:
    """Ask groups of prompts; what a group's prompts begin with is computed once.

    Args:
        llama: The model.
        groups: Prompts of at least one token each; every group has one at least.
        weights: Those that are not the model's own; may be stacked.

    Returns:
        For each group natural logarithms, shape (n_stacks, n_prompts, n_vocab),
        float32; and the number of passes.

    Raises:
        NumericsError: The model answered NaN or infinite logits.
    """
    trees = [tree_of(group, prompts) for group, prompts in enumerate(groups)]
    n_tokens = sum(tree.n_tokens for tree in trees)
    if weights and llama.n_stacks(weights) == 1 and n_tokens >= WORTH_PACKING:
        llama, weights = llama.moved(weights), {}
    most = TOKENS_A_PASS.get(llama.device.type, 1280)
    # What a stack has in common is computed once, and above it every member alone.
    above = llama.share_above(weights) * (llama.n_stacks(weights) - 1)
    most = max(min(most, LEAST_TOKENS), int(most / (1 + above)))
    while True:
        try:
            return _ask(llama, trees, weights, most)
        except torch.OutOfMemoryError as error:
            if most == 1:
                raise memory_error("one prompt", error) from error
        torch.cuda.empty_cache()  # does nothing where no GPU was used
        most //= 2


def _ask(
    llama: Llama, trees: Sequence[Tree], weights: Weights, most: int
) -> tuple[list[LogProbs], int]:
    n = n_abreast(llama.n_bytes, llama.device)
    cuts = list(_cut(trees, most, n))
    found: dict[int, LogProbs] = {}

    def keep(part: Sequence[Tree], after: Forest | None) -> Forest:
        forest, answers = _answer(llama, part, after, weights)
        for at, tree in enumerate(part):
            found[tree.group][:, tree.places] = answers[:, at]
        return forest

    n_vocab = len(llama.weight(llama.head + ".weight", {}))
    for tree in trees:
        shape = llama.n_stacks(weights), len(tree.leaves), n_vocab
        found[tree.group] = np.empty(shape, dtype=np.float32)

    def keep_all(some: Sequence[list[Sequence[Tree]]]) -> None:
        forests = abreast(lambda parts: keep(parts[0], None), some, n=n)
        left = [
            (part, after)
            for parts, after in zip(some, forests, strict=True)
            for part in parts[1:]
        ]
        abreast(lambda asked: keep(*asked), left, n=n)

    for start in range(0, len(cuts), n):
        keep_all(cuts[start : start + n])  # and let go of what the stems keep
    return [found[group] for group in range(len(trees))], sum(map(len, cuts))


def _answer(
    llama: Llama, trees: Sequence[Tree], after: Forest | None, weights: Weights
) -> tuple[Forest, LogProbs]:
    """Ask in one pass; answers are (n_stacks, n_trees, n_leaves, n_vocab)."""
    forest = Forest.of(trees, llama.device, after=after)
    hidden = llama.embed(forest.ids, weights)
    answers = log_probs_of(llama.logits(hidden, forest, weights))
    return forest, answers.reshape(len(answers), len(trees), -1, answers.shape[-1])


def _cut(trees: Sequence[Tree], most: int, n: int) -> Iterator[list[Sequence[Tree]]]:
    """Give passes, those that share a stem together: the first of them computes it."""
    for batch in passes(trees, most=most):
        if n > 1 and len(batch) == 1 and batch[0].n_tokens > most:
            for parts in batch[0].evenly(most, least=min(most, LEAST_TOKENS), n=n):
                yield [[part] for part in parts]
        else:
            yield list(zip(*(tree.cut(most) for tree in batch), strict=True))


def written_out(model: Any) -> Llama | None:
    """Write a model out if it is of the family and answers a probe as it does itself.

    Anything that a configuration may hold and we do not know of shows in the answer.
    """
    if not is_written(model):
        return None
    llama = Llama(model)
    n_vocab = llama.own[EMBEDDING].shape[0]
    probes = [[(7 * i + n) % n_vocab for i in range(n)] for n in (11, 6)]
    with torch.inference_mode():
        (found,), _ = ask(llama, [probes], {})
        wanted = [model(torch.tensor([p], device=llama.device)).logits for p in probes]
        theirs = log_probs_of(torch.stack([w[0, -1].float() for w in wanted]))
    eps = torch.finfo(next(iter(llama.own.values())).dtype).eps
    allowed = max(8 * eps, 1e-4) * max(1.0, float(np.abs(theirs).max()))
    return llama if float(np.abs(found[0] - theirs).max()) <= allowed else None


def log_probs_of(logits: Tensor) -> LogProbs:
    """Normalise logits (…, n_vocab), which are written over.

    Only the normaliser is float64, so that float32 log-probabilities are rounded twice:
    their normaliser and they themselves by half a unit of their last place at most.

    Raises:
        NumericsError: Some are NaN or infinite.
    """
    flat = logits.reshape(-1, logits.shape[-1])
    flat = flat.float() if flat.dtype.itemsize < 4 else flat
    n_rows = max(1, NORMALISED.get(logits.device.type, 1 << 17) // flat.shape[1])
    for part in torch.split(flat, n_rows):
        largest, least = (f(-1, keepdim=True) for f in (part.amax, part.amin))
        if not torch.isfinite(largest - least).all():  # any that is not finite shows
            raise _not_finite(flat)
        masses = torch.exp_(part - largest).sum(-1, keepdim=True)
        normaliser = largest.double() + masses.double().log()
        part.sub_(normaliser.to(part.dtype))
    return np.asarray(flat.reshape(logits.shape).cpu().numpy(), dtype=np.float32)


def _not_finite(logits: Tensor) -> NumericsError:
    broken = int((~torch.isfinite(logits)).any(dim=-1).sum())
    return NumericsError(
        f"The model answered NaN or infinite logits for {broken} of "
        f"{len(logits)} prompts. Expected finite logits. "
        f"Pass --dtype float32, or check the weights."
    )
