"""Any Hugging Face causal language model, loaded: asking it quickly.

Models of the Llama family answer through ``models.llama.model``, others through the
library's forward pass: right padding and explicit positions everywhere; logits are
formed at the positions that are read and nowhere else. How a model is loaded stands in
``models.causal_lm.loading``.
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

from probes.models.llama.architecture import is_llama_family
from probes.models.llama.inference import (
    LogProbs,
    ask,
    llama_if_equivalent,
    log_probs_of,
)
from probes.models.llama.model import Llama
from probes.models.llama.prefix_tree import Prompt, shared_prefix_length
from probes.models.runtime.memory import retain_freed_memory
from probes.models.runtime.oom_halving import with_oom_backoff
from probes.models.runtime.thread_pool import n_threads_for, run_in_threads
from probes.models.weights.stacks import bytes_of, split_stack, unstacked

TOKENS_A_BATCH = 8192
COUNTING = threading.Lock()


class CausalLM:
    """A loaded causal language model with its tokenizer.

    Attributes:
        model: The Hugging Face module, in evaluation mode, no gradients required.
        tokenizer: Its tokenizer.
        context: The longest input, in tokens.
        n_forward: Forward passes made so far.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        retain_freed_memory()
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.n_forward = 0
        self._tuned: Mapping[str, Tensor] = {}
        config = model.config.get_text_config()
        self.context = int(getattr(config, "max_position_embeddings", 1 << 30))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return torch.device(self.model.device)

    @property
    def n_bytes(self) -> int:
        """The size of the weights in memory, those packed for products included."""
        written: Llama | None = self.__dict__.get("written")
        packed = sum(w.n_bytes for w in written.prepacked.values()) if written else 0
        return packed + self.n_weight_bytes

    @property
    def n_weight_bytes(self) -> int:
        """The size of the weights alone."""
        return bytes_of(dict(self.model.named_parameters()))

    def count(self, n_forward: int) -> None:
        """Count forward passes, from whatever thread."""
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
        return logits.float() if logits.dtype.itemsize < 4 else logits

    @cached_property
    def written(self) -> Llama | None:
        """The model written out, if it is of that family and answers alike."""
        self.count(2 if is_llama_family(self.model) else 0)
        return llama_if_equivalent(self.model)

    def next_token_log_probs(self, prompts: Sequence[Prompt]) -> LogProbs:
        """Compute the next-token log-probabilities after each prompt.

        The tokens that all prompts begin with are run once; their keys and values are
        shared by all prompts.

        Args:
            prompts: Token ids, at least one token each.

        Returns:
            Natural logarithms, shape (n_prompts, n_vocab), float32.

        Raises:
            NumericsError: The model answered NaN or infinite logits.
        """
        return self.log_probs_of_groups([prompts])[0]

    def log_probs_of_groups(self, groups: Sequence[Sequence[Prompt]]) -> list[LogProbs]:
        """Do so for several groups of prompts, each with a beginning of its own.

        Returns:
            For each group, shape (n_prompts, n_vocab).

        Raises:
            NumericsError: The model answered NaN or infinite logits.
        """
        if self.written is None:
            return [self._plainly(prompts) for prompts in groups]
        return [answers[0] for answers in self._ask(groups, self._tuned)]

    def log_probs_of_stack(
        self, weights: Mapping[str, Tensor], prompts: Sequence[Prompt]
    ) -> LogProbs:
        """Ask the same prompts under every member of a stack of weights.

        Args:
            weights: By name, shape (n_stacks, …).
            prompts: Token ids, at least one token each.

        Returns:
            Shape (n_stacks, n_prompts, n_vocab).

        Raises:
            NumericsError: The model answered NaN or infinite logits.
        """
        if self.written is None:
            answers = []
            for place in range(len(next(iter(weights.values())))):
                with self.tuned({name: w[place] for name, w in weights.items()}):
                    answers.append(self._plainly(prompts))
            return np.stack(answers)
        stacks = split_stack(weights)
        answers = run_in_threads(
            lambda stack: self._ask([prompts], unstacked(stack))[0],
            stacks,
            n=n_threads_for(self.n_weight_bytes, self.device),
        )
        return np.concatenate(answers)

    def _ask(
        self, groups: Sequence[Sequence[Prompt]], weights: Mapping[str, Tensor]
    ) -> list[LogProbs]:
        assert self.written is not None
        with torch.inference_mode():
            found, n_passes = ask(self.written, groups, weights)
        self.count(n_passes)
        return found

    def _plainly(self, prompts: Sequence[Prompt]) -> LogProbs:
        """Ask through the library's own forward pass, whatever the architecture."""
        shared = shared_prefix_length(prompts)
        prefix = list(prompts[0][:shared])
        with torch.inference_mode():
            cache = self.prefill(prefix) if prefix else None
            found: dict[int, LogProbs] = {}

            def answer(chunk: Sequence[int]) -> Tensor:
                return self._answer([prompts[i][shared:] for i in chunk], cache, shared)

            for chunk in _by_length([p[shared:] for p in prompts], shared):
                for part, answers in with_oom_backoff(chunk, answer, what="one prompt"):
                    found.update(zip(part, log_probs_of(answers), strict=True))
        return np.stack([found[i] for i in range(len(prompts))])

    def _run(self, **inputs: Any) -> Any:
        self.count(1)
        if not self._tuned:
            return self.model(**inputs)
        return functional_call(self.model, dict(self._tuned), kwargs=inputs)

    def prefill(self, prefix: Sequence[int]) -> Any:
        """Run the library's own forward pass, and keep its keys and values."""
        ids = torch.tensor([list(prefix)], device=self.device)
        return self._run(
            input_ids=ids, use_cache=True, logits_to_keep=1
        ).past_key_values

    def _answer(self, suffixes: list[Prompt], cache: Any, shared: int) -> Tensor:
        ids, lengths = padded(suffixes, self.device)
        last = lengths - 1
        positions = torch.unique(last)  # sorted
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
        column = torch.searchsorted(positions, last)
        return logits[torch.arange(len(suffixes), device=self.device), column]


def expanded(cache: Any, n_prompts: int) -> Any:
    """Show one prompt's keys and values to several, without copying them.

    A forward pass appends to the cache that it is given, by making new tensors; so the
    containers are copied and the tensors are not.
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


def _by_length(suffixes: list[Prompt], shared: int) -> Iterator[list[int]]:
    """Batch prompts of like length, so that little is padded."""
    order = sorted(range(len(suffixes)), key=lambda i: len(suffixes[i]))
    chunk: list[int] = []
    for index in order:
        cost = len(suffixes[index]) + shared
        if chunk and (len(chunk) + 1) * cost > TOKENS_A_BATCH:
            yield chunk
            chunk = []
        chunk.append(index)
    yield chunk
