"""Any Hugging Face causal language model, asked through the library's forward pass.

Sequences are padded on the right and positions are explicit. Logits are formed only at
the positions that are read. Prompts that begin alike share one key-value cache if the
model answers the same with it; otherwise each prompt is read whole.
"""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from probes.models.causal_lm.prefix_checks import shares_prefixes
from probes.models.llama.inference import LogProbs, log_probs_of
from probes.models.llama.prefix_tree import Prompt, shared_prefix_length
from probes.models.runtime.memory import retain_freed_memory
from probes.models.runtime.oom_halving import with_oom_backoff

TOKENS_A_BATCH = 8192
COUNTING = threading.Lock()


class LibraryForward:
    """A loaded causal language model that answers whatever its architecture.

    Attributes:
        model: The Hugging Face module, in evaluation mode, no gradients required.
        n_forward: Forward passes made so far.
    """

    def __init__(self, model: Any) -> None:
        retain_freed_memory()
        self.model = model.eval().requires_grad_(False)
        self.n_forward = 0
        self._tuned: Mapping[str, Tensor] = {}

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return torch.device(self.model.device)

    def count(self, n_forward: int) -> None:
        """Count forward passes, from any thread."""
        with COUNTING:
            self.n_forward += n_forward

    @contextlib.contextmanager
    def tuned(self, parameters: Mapping[str, Tensor]) -> Iterator[None]:
        """Answer with other values of some parameters while the context is open.

        Args:
            parameters: By name, in the shapes of the model's own, which stay untouched.
        """
        self._tuned = parameters
        try:
            yield
        finally:
            self._tuned = {}

    def logits(self, ids: Tensor, positions: Tensor, **cache: Any) -> Tensor:
        """Run one forward pass and form the logits at some positions only.

        Args:
            ids: Token ids, shape (n_sequences, n_tokens), padded on the right.
            positions: Sorted positions to read, shape (n_positions,).
            cache: ``past_key_values`` and its ``attention_mask``, ``position_ids``.

        Returns:
            Logits, shape (n_sequences, n_positions, n_vocab), float32 or wider.
        """
        answer = self._run(
            input_ids=ids, logits_to_keep=positions, use_cache=bool(cache), **cache
        )
        logits: Tensor = answer.logits
        if logits.shape[1] != len(positions):  # xLSTM forms all of them
            logits = logits[:, positions]
        return logits.float() if logits.dtype.itemsize < 4 else logits

    def prefill(self, prefix: Sequence[int]) -> Any:
        """Run a prefix once, and return its keys and values."""
        ids = torch.tensor([list(prefix)], device=self.device)
        return self._run(
            input_ids=ids, use_cache=True, logits_to_keep=1
        ).past_key_values

    def log_probs_by_library(
        self, prompts: Sequence[Prompt], n_read: Sequence[int] | None = None
    ) -> LogProbs:
        """Compute next-token log-probabilities, the common beginning only once.

        Args:
            prompts: Token ids, at least one token each.
            n_read: After how many of its last tokens each prompt is answered; None:
                only after the last one.

        Returns:
            Natural logarithms, shape (n_answers, n_vocab), float32, prompt by prompt.

        Raises:
            NumericsError: The model answered NaN or infinite logits.
        """
        n_read = n_read or [1] * len(prompts)
        shared = 0
        if self.shares_prefixes:
            shared = shared_prefix_length(prompts, max(n_read))
        prefix = list(prompts[0][:shared])
        with torch.inference_mode():
            cache = self.prefill(prefix) if prefix else None
            by_prompt: dict[int, LogProbs] = {}

            def answer(chunk: Sequence[int]) -> Tensor:
                suffixes = [prompts[i][shared:] for i in chunk]
                return self._answer(suffixes, cache, shared, [n_read[i] for i in chunk])

            for chunk in _by_length([p[shared:] for p in prompts], shared):
                for part, answers in with_oom_backoff(chunk, answer, what="one prompt"):
                    ends = np.cumsum([n_read[i] for i in part])[:-1]
                    own = np.split(log_probs_of(answers), ends)
                    by_prompt.update(zip(part, own, strict=True))
        return np.concatenate([by_prompt[i] for i in range(len(prompts))])

    @cached_property
    def shares_prefixes(self) -> bool:
        """Whether prompts that begin alike may share keys and values."""
        tuned, self._tuned = self._tuned, {}
        try:
            with torch.inference_mode():
                return shares_prefixes(self.model, self.prefill, self._answer)
        finally:
            self._tuned = tuned

    def _run(self, **inputs: Any) -> Any:
        self.count(1)
        if not self._tuned:
            return self.model(**inputs)
        return functional_call(self.model, dict(self._tuned), kwargs=inputs)

    def _answer(
        self, suffixes: list[Prompt], cache: Any, shared: int, n_read: Sequence[int]
    ) -> Tensor:
        """Form the logits after each suffix of a cached prefix of ``shared`` tokens.

        Returns:
            Shape (n_answers, n_vocab), suffix by suffix.
        """
        ids, lengths = padded(suffixes, self.device)
        places = [
            (row, len(suffix) - back)
            for row, (suffix, n) in enumerate(zip(suffixes, n_read, strict=True))
            for back in range(n, 0, -1)
        ]
        rows, read = torch.tensor(places, device=self.device).T.contiguous()
        positions = torch.unique(read)  # sorted
        options: dict[str, Any] = {}
        if cache is not None:
            steps = torch.arange(ids.shape[1], device=self.device)
            fits = steps[None, :] < lengths[:, None]
            seen = torch.ones(
                len(suffixes), shared, dtype=torch.long, device=self.device
            )
            options = {
                "past_key_values": expanded(cache, len(suffixes)),
                "attention_mask": torch.cat([seen, fits.long()], dim=1),
                "position_ids": (shared + steps).expand(len(suffixes), -1),
            }
        logits = self.logits(ids, positions, **options)
        return logits[rows, torch.searchsorted(positions, read)]


def expanded(cache: Any, n_prompts: int) -> Any:
    """Give several prompts a view of one prompt's keys and values, without a copy.

    A forward pass appends to its cache by making new tensors. So the containers are
    copied and the tensors are not.
    """
    own = copy.copy(cache)
    own.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in own.layers:
        for name in ("keys", "values"):
            held = getattr(layer, name)
            setattr(layer, name, held.expand(n_prompts, *held.shape[1:]))
    return own


def padded(
    sequences: Sequence[Sequence[int]], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Pad on the right with token 0, which no causal position before it can see.

    Returns:
        Ids, shape (n_sequences, n_tokens), and lengths, shape (n_sequences,).
    """
    lengths = torch.tensor([len(s) for s in sequences])
    ids = torch.zeros(len(sequences), int(lengths.max()), dtype=torch.long)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.tensor(list(sequence))
    return ids.to(device), lengths.to(device)


def in_batches(prompts: Sequence[Prompt]) -> Iterator[Sequence[Prompt]]:
    """Cut prompts, in order, into batches of at most ``TOKENS_A_BATCH`` tokens."""
    size = max(1, TOKENS_A_BATCH // max(map(len, prompts)))
    for start in range(0, len(prompts), size):
        yield prompts[start : start + size]


def _by_length(suffixes: list[Prompt], shared: int) -> Iterator[list[int]]:
    """Batch prompts of similar length, so that little is padded."""
    order = sorted(range(len(suffixes)), key=lambda i: len(suffixes[i]))
    chunk: list[int] = []
    for index in order:
        cost = len(suffixes[index]) + shared
        if chunk and (len(chunk) + 1) * cost > TOKENS_A_BATCH:
            yield chunk
            chunk = []
        chunk.append(index)
    yield chunk
