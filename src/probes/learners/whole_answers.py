"""Whole answers: how likely each one is, and whether greedy decoding gives it.

An answer of several tokens is scored by teacher forcing: each of its tokens, and the
token that ends it, is predicted after the prompt and the tokens before it. Tasks whose
labels begin with different tokens need none of this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.data.tokenization import ends_answer

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
    forcing = TeacherForcing([prompts.candidates(*pair) for pair in pairs])
    answered = ask(*forcing.continued(encoded))
    first = np.array(answered[..., : len(encoded), :])  # frees the others
    scores = forcing.log_probs(answered)
    if not prompts.task.is_open:
        answers = np.stack([np.stack(own, axis=-1) for own in scores], axis=-2)
        return {"log_probs": first, "answer_log_probs": answers}
    given = forcing.are_given(answered, prompts.tokenizer)
    right = [np.logaddexp.reduce(own, axis=0) for own in scores]
    return {
        "log_probs": first,
        "right_log_probs": np.stack(right, axis=-1),
        "is_right": np.stack([np.any(own, axis=0) for own in given], axis=-1),
    }


class TeacherForcing:
    """The prompts that score whole answers, each continued by a part of an answer.

    Args:
        answers: For each query the tokens of its candidate answers, each with the token
            that ends it.
    """

    def __init__(self, answers: Sequence[Sequence[Tokens]]) -> None:
        self.answers = answers
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
        """Add up the log-probabilities of every answer's tokens.

        Args:
            answered: Next-token log-probabilities of the continued prompts, shape
                (…, n_prompts, n_vocab).

        Returns:
            For each query and each of its answers, shape (…).
        """
        return [
            [
                answered[..., self._path(query, answer), answer]
                .astype(np.float64)
                .sum(axis=-1)
                for answer in own
            ]
            for query, own in enumerate(self.answers)
        ]

    def are_given(
        self, answered: NDArray[Any], tokenizer: Any
    ) -> list[list[NDArray[np.bool_]]]:
        """Check for every answer whether greedy decoding gives it and ends it."""
        likeliest = answered.argmax(axis=-1)  # (…, n_prompts); of equals the lower id
        return [
            [
                self._is_given(likeliest[..., self._path(query, a)], a, tokenizer)
                for a in own
            ]
            for query, own in enumerate(self.answers)
        ]

    def _path(self, query: int, answer: Tokens) -> list[int]:
        """List the prompts after which an answer's tokens are predicted."""
        return [self._rows[query, tuple(answer[:n])] for n in range(len(answer))]

    @staticmethod
    def _is_given(
        decoded: NDArray[Any], answer: Tokens, tokenizer: Any
    ) -> NDArray[np.bool_]:
        """Compare tokens decoded greedily, (…, n_tokens), with an answer's."""
        *words, end = answer
        last = decoded[..., -1]
        ends = [t for t in np.unique(last).tolist() if ends_answer(tokenizer, t, end)]
        is_same = (decoded[..., :-1] == words).all(axis=-1)
        return np.asarray(is_same & np.isin(last, ends))


def stacked(answered: Sequence[Answers]) -> Answers:
    """Put the answers of several sets on one leading axis."""
    return {n: np.stack([one[n] for one in answered]) for n in answered[0]}


def concatenated(answered: Sequence[Answers]) -> Answers:
    """Join answers along their leading axis."""
    return {n: np.concatenate([one[n] for one in answered]) for n in answered[0]}
