"""Whole answers: how likely each one is, and whether greedy decoding gives it.

An answer is scored by teacher forcing: each of its tokens is predicted after the prompt
and the tokens before it. The answer ends with the token that follows it in a prompt,
with any token that begins a new line, or with the end of the text; the probabilities of
all these ends are added up. So whole answers exclude one another, and greedy decoding
gives an answer if it gives the answer's tokens and then an end. Tasks whose labels
begin with different tokens need none of this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from probes.data.prompt_encoding import EncodedPrompts
    from probes.data.text_tasks import Example

Tokens = list[int]
Answers = Mapping[str, NDArray[Any]]
"""A learner's answers to queries: arrays of an observation, by name."""
Ask = Callable[[Sequence[Tokens], Sequence[int]], NDArray[Any]]
"""Compute next-token log-probabilities, shape (…, n_answers, n_vocab). The arguments
are prompts, and after how many of its last tokens each one is answered. The answers are
in the order of the prompts and of their tokens."""
AskLast = Callable[[Sequence[Tokens], Sequence[int]], NDArray[Any]]
"""The same for prompts that are answered after their last token only. The second
argument is how many tokens at the end of each belong to its answer."""


def ask_whole(
    prompts: EncodedPrompts,
    queries: Sequence[Example],
    encoded: Sequence[Tokens],
    ask: Ask,
) -> Answers:
    """Ask queries; where whole answers are scored, score them too.

    Args:
        prompts: The prompts of the task from which the queries come.
        queries: The queries.
        encoded: The prompt of each.
        ask: Answers prompts. It is called once.

    Returns:
        ``log_probs`` (…, n_queries, n_vocab) of the first token. On open tasks also
        ``right_log_probs`` and ``is_right`` (…, n_queries). With closed labels that
        begin alike also ``answer_log_probs`` (…, n_queries, n_labels).

    Raises:
        DataError: A prompt with an answer is longer than the model's context.
    """
    if not prompts.labels.scores_whole:
        return {"log_probs": ask(encoded, [1] * len(encoded))}
    pairs = zip(queries, encoded, strict=True)
    forcing = TeacherForcing(
        [prompts.candidates(*pair) for pair in pairs], ends=prompts.line_ends
    )
    answered = ask(*forcing.continued(encoded))
    first = np.array(answered[..., forcing.first_rows, :])
    scores = forcing.log_probs(answered)
    if not prompts.task.is_open:
        answers = np.stack([np.stack(own, axis=-1) for own in scores], axis=-2)
        return {"log_probs": first, "answer_log_probs": answers}
    right = [np.logaddexp.reduce(own, axis=0) for own in scores]
    given = [np.any(own, axis=0) for own in forcing.are_given(answered)]
    return {
        "log_probs": first,
        "right_log_probs": np.stack(right, axis=-1),
        "is_right": np.stack(given, axis=-1),
    }


class TeacherForcing:
    """The prompts that score whole answers, each continued by a part of an answer.

    Args:
        answers: For each query the tokens of its candidate answers, each with the token
            that follows it in a prompt.
        ends: Other tokens that end an answer as well.
    """

    def __init__(
        self, answers: Sequence[Sequence[Tokens]], ends: Sequence[int]
    ) -> None:
        self.answers, self._ends = answers, set(ends)
        rows = count()
        self._rows = [
            [[next(rows) for _ in answer] for answer in own] for own in answers
        ]

    @property
    def first_rows(self) -> list[int]:
        """The answer after each query's prompt alone."""
        return [own[0][0] for own in self._rows]

    def continued(
        self, encoded: Sequence[Tokens]
    ) -> tuple[Sequence[Tokens], Sequence[int]]:
        """Continue each query's prompt by each of its answers, without the end.

        Returns:
            Prompts, and after how many of its last tokens each one is answered.
        """
        prompts = [
            [*prompt, *answer[:-1]]
            for prompt, own in zip(encoded, self.answers, strict=True)
            for answer in own
        ]
        return prompts, [len(answer) for own in self.answers for answer in own]

    def log_probs(self, answered: NDArray[Any]) -> list[list[NDArray[Any]]]:
        """Compute the log-probabilities of giving each answer and ending it.

        Args:
            answered: Next-token log-probabilities of the continued prompts, shape
                (…, n_answers, n_vocab).

        Returns:
            For each query and each of its answers, shape (…).
        """
        return [
            [self._log_prob(answered, *pair) for pair in zip(own, rows, strict=True)]
            for own, rows in zip(self.answers, self._rows, strict=True)
        ]

    def are_given(self, answered: NDArray[Any]) -> list[list[NDArray[np.bool_]]]:
        """Check for every answer whether greedy decoding gives it and ends it."""
        likeliest = answered.argmax(axis=-1)  # (…, n_answers); of equals the lower id
        return [
            [self._is_given(likeliest, *pair) for pair in zip(own, rows, strict=True)]
            for own, rows in zip(self.answers, self._rows, strict=True)
        ]

    def _log_prob(
        self, answered: NDArray[Any], answer: Tokens, rows: list[int]
    ) -> NDArray[Any]:
        *words, end = answer
        ends = sorted({e for e in self._ends if e < answered.shape[-1]} | {end})
        spoken = answered[..., rows[:-1], words].astype(np.float64).sum(axis=-1)
        ended = answered[..., rows[-1], ends].astype(np.float64)
        return np.asarray(spoken + np.logaddexp.reduce(ended, axis=-1))

    def _is_given(
        self, likeliest: NDArray[Any], answer: Tokens, rows: list[int]
    ) -> NDArray[np.bool_]:
        *words, end = answer
        decoded = likeliest[..., rows]  # (…, n_tokens)
        is_same = (decoded[..., :-1] == words).all(axis=-1)
        return np.asarray(is_same & np.isin(decoded[..., -1], [*self._ends, end]))


def token_by_token(ask_last: AskLast) -> Ask:
    """Answer within prompts by a function that answers at their end only."""

    def ask(prompts: Sequence[Tokens], n_read: Sequence[int]) -> NDArray[Any]:
        cut = [
            (prompt[: len(prompt) - after], n - 1 - after)
            for prompt, n in zip(prompts, n_read, strict=True)
            for after in reversed(range(n))
        ]
        return ask_last([tokens for tokens, _ in cut], [n for _, n in cut])

    return ask


def stacked(answered: Sequence[Answers]) -> Answers:
    """Put the answers of several sets on one leading axis."""
    return {n: np.stack([one[n] for one in answered]) for n in answered[0]}


def concatenated(answered: Sequence[Answers]) -> Answers:
    """Join answers along their leading axis."""
    return {n: np.concatenate([one[n] for one in answered]) for n in answered[0]}
