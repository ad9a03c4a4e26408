"""A loaded causal language model: the one class that learners ask.

Architectures that ``models.llama`` computes are asked through it, which is faster. All
others, and everything that needs hooks, go through the library's own forward pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from probes.models.causal_lm.context_length import context_length
from probes.models.causal_lm.library_forward import LibraryForward
from probes.models.llama.architecture import is_llama_family
from probes.models.llama.inference import LogProbs, ask, llama_if_equivalent
from probes.models.llama.model import Llama
from probes.models.llama.prefix_tree import Prompt
from probes.models.runtime.thread_pool import n_threads_for, run_in_threads
from probes.models.weights.stacks import bytes_of, split_stack, unstacked


class CausalLM(LibraryForward):
    """A loaded causal language model with its tokenizer.

    Attributes:
        tokenizer: Its tokenizer.
        context: The longest input, in tokens.
        left_out: What of the checkpoint is not in the model, in words; empty if
            everything is.
    """

    def __init__(self, model: Any, tokenizer: Any, *, left_out: str = "") -> None:
        super().__init__(model)
        self.tokenizer, self.left_out = tokenizer, left_out
        self.context = context_length(model.config)

    @property
    def n_bytes(self) -> int:
        """The size of the weights in memory, those packed for products included."""
        llama: Llama | None = self.__dict__.get("fast_path")
        packed = sum(w.n_bytes for w in llama.prepacked.values()) if llama else 0
        return packed + self.n_weight_bytes

    @property
    def n_weight_bytes(self) -> int:
        """The size of the weights alone."""
        return bytes_of(dict(self.model.named_parameters()))

    @cached_property
    def fast_path(self) -> Llama | None:
        """The written-out model; None if there is none, or it answers otherwise."""
        self.count(2 if is_llama_family(self.model) else 0)
        return llama_if_equivalent(self.model)

    def next_token_log_probs(
        self, prompts: Sequence[Prompt], n_read: Sequence[int] | None = None
    ) -> LogProbs:
        """Compute the next-token log-probabilities after each prompt.

        The tokens that all prompts begin with are run once; all prompts share their
        keys and values.

        Args:
            prompts: Token ids, at least one token each.
            n_read: After how many of its last tokens each prompt is answered; None:
                only after the last one.

        Returns:
            Natural logarithms, shape (n_answers, n_vocab), float32, prompt by prompt.

        Raises:
            NumericsError: The model answered NaN or infinite logits.
        """
        if self.fast_path is None:
            return self.log_probs_by_library(prompts, n_read)
        own = None if n_read is None else [n_read]
        answers: LogProbs = self._ask([prompts], self._tuned, own)[0][0]
        return answers

    def log_probs_of_groups(self, groups: Sequence[Sequence[Prompt]]) -> list[LogProbs]:
        """Do the same for several groups of prompts, each with its own beginning.

        Returns:
            For each group, shape (n_prompts, n_vocab).

        Raises:
            NumericsError: The model answered NaN or infinite logits.
        """
        if self.fast_path is None:
            return [self.log_probs_by_library(prompts) for prompts in groups]
        return [answers[0] for answers in self._ask(groups, self._tuned)]

    def log_probs_of_stack(
        self,
        weights: Mapping[str, Tensor],
        prompts: Sequence[Prompt],
        n_read: Sequence[int] | None = None,
    ) -> LogProbs:
        """Ask the same prompts under every member of a stack of weights.

        Args:
            weights: By name, shape (n_stacks, …).
            prompts: Token ids, at least one token each.
            n_read: As in :meth:`next_token_log_probs`.

        Returns:
            Shape (n_stacks, n_answers, n_vocab).

        Raises:
            NumericsError: The model answered NaN or infinite logits.
        """
        if self.fast_path is None:
            answers = []
            for member in range(len(next(iter(weights.values())))):
                with self.tuned({name: w[member] for name, w in weights.items()}):
                    answers.append(self.log_probs_by_library(prompts, n_read))
            return np.stack(answers)
        stacks, own = split_stack(weights), None if n_read is None else [n_read]
        answers = run_in_threads(
            lambda stack: self._ask([prompts], unstacked(stack), own)[0],
            stacks,
            n=n_threads_for(self.n_weight_bytes, self.device),
        )
        return np.concatenate(answers)

    def _ask(
        self,
        groups: Sequence[Sequence[Prompt]],
        weights: Mapping[str, Tensor],
        n_read: Sequence[Sequence[int]] | None = None,
    ) -> list[LogProbs]:
        assert self.fast_path is not None
        with torch.inference_mode():
            answers, n_passes = ask(self.fast_path, groups, weights, n_read)
        self.count(n_passes)
        return answers
