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
"""Compute next-token log-probabilities, shape (…, n_prompts, n_vocab). The arguments
are prompts, and how many tokens at the end of each belong to its answer."""


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
        return {"log_probs": ask(encoded, [0] * len(encoded))}
    pairs = zip(queries, encoded, strict=True)
    forcing = TeacherForcing(
        [prompts.candidates(*pair) for pair in pairs], ends=prompts.line_ends
    )
    answered = ask(*forcing.continued(encoded))
    first = np.array(answered[..., : len(encoded), :])  # frees the others
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
        self._rows: dict[tuple[int, tuple[int, ...]], int] = {
            (query, ()): query for query in range(len(answers))
        }
        for query, own in enumerate(answers):
            for answer in own:
                for n in range(1, len(answer)):
                    place = (query, tuple(answer[:n]))
                    self._rows.setdefault(place, len(self._rows))

    def continued(
        self, encoded: Sequence[Tokens]
    ) -> tuple[Sequence[Tokens], Sequence[int]]:
        """Continue the queries' prompts; the first ones are the prompts themselves.

        Returns:
            Prompts, and how many tokens at the end of each belong to its answer.
        """
        prompts = [[*encoded[query], *given] for query, given in self._rows]
        return prompts, [len(given) for _, given in self._rows]

    def log_probs(self, answered: NDArray[Any]) -> list[list[NDArray[Any]]]:
        """Compute the log-probabilities of giving each answer and ending it.

        Args:
            answered: Next-token log-probabilities of the continued prompts, shape
                (…, n_prompts, n_vocab).

        Returns:
            For each query and each of its answers, shape (…).
        """
        return [
            [self._log_prob(answered, query, answer) for answer in own]
            for query, own in enumerate(self.answers)
        ]

    def are_given(self, answered: NDArray[Any]) -> list[list[NDArray[np.bool_]]]:
        """Check for every answer whether greedy decoding gives it and ends it."""
        likeliest = answered.argmax(axis=-1)  # (…, n_prompts); of equals the lower id
        return [
            [self._is_given(likeliest, query, answer) for answer in own]
            for query, own in enumerate(self.answers)
        ]

    def _log_prob(
        self, answered: NDArray[Any], query: int, answer: Tokens
    ) -> NDArray[Any]:
        *words, end = answer
        *before, last = self._path(query, answer)
        ends = sorted({e for e in self._ends if e < answered.shape[-1]} | {end})
        spoken = answered[..., before, words].astype(np.float64).sum(axis=-1)
        ended = answered[..., last, ends].astype(np.float64)
        return np.asarray(spoken + np.logaddexp.reduce(ended, axis=-1))

    def _is_given(
        self, likeliest: NDArray[Any], query: int, answer: Tokens
    ) -> NDArray[np.bool_]:
        *words, end = answer
        decoded = likeliest[..., self._path(query, answer)]  # (…, n_tokens)
        is_same = (decoded[..., :-1] == words).all(axis=-1)
        return np.asarray(is_same & np.isin(decoded[..., -1], [*self._ends, end]))

    def _path(self, query: int, answer: Tokens) -> list[int]:
        """List the prompts after which an answer's tokens are predicted."""
        return [self._rows[query, tuple(answer[:n])] for n in range(len(answer))]


def stacked(answered: Sequence[Answers]) -> Answers:
    """Put the answers of several sets on one leading axis."""
    return {n: np.stack([one[n] for one in answered]) for n in answered[0]}


def concatenated(answered: Sequence[Answers]) -> Answers:
    """Join answers along their leading axis."""
    return {n: np.concatenate([one[n] for one in answered]) for n in answered[0]}
