"""A prompt token by token, in words: what a model reads, and what may follow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from probes.data.prompt_encoding import EncodedPrompts, Tokens
from probes.data.text_tasks import Example
from probes.data.token_words import token_text
from probes.data.tokenization import Tokenizer
from probes.errors import OptionError


def prompt_lines(prompts: EncodedPrompts, index: int, place: int) -> list[str]:
    """List the tokens of one prompt, its parts, and the candidates of the answer.

    Args:
        prompts: The prompts of a task.
        index: The demonstration set, from 0.
        place: The query, from 0.

    Raises:
        OptionError: There is no such set or query.
        DataError: The prompt is longer than the model's context.
    """
    task = prompts.task
    _require_in_range("--set", index, len(task.demonstrations))
    _require_in_range("--query", place, len(task.queries[index]))
    shown, query = task.demonstrations[index], task.queries[index][place]
    tokens = prompts.in_context(index)[place]
    lines = [
        f"set {index + 1} of {len(task.demonstrations)}, query {place + 1} of "
        f"{len(task.queries[index])}: {len(tokens)} tokens, and the model reads "
        f"{prompts.context}",
        "place       id  token",
    ]
    parts = _parts(prompts, index, place, tokens)
    for (start, end), title in zip(parts, _titles(shown, query), strict=True):
        lines += [title] if end > start else []
        lines += _token_lines(prompts.tokenizer, tokens, range(start, end))
    return [*lines, *_answer_lines(prompts, query, tokens)]


def _parts(
    prompts: EncodedPrompts, index: int, place: int, tokens: Tokens
) -> Iterator[tuple[int, int]]:
    """Cut a prompt into its head, its demonstrations, and its query.

    What stands between two of them belongs to the one before.
    """
    alone = prompts.alone([prompts.task.queries[index][place]])[0]
    query = len(tokens) - prompts.query_length(alone, tokens)
    starts = [start for start, _ in prompts.demonstration_spans(index)]
    cuts = [0, *starts, query, len(tokens)]
    return pairwise(cuts)


def _titles(shown: Sequence[Example], query: Example) -> list[str]:
    numbered = enumerate(shown, start=1)
    demonstrations = [f"demonstration {n} ({one.where}):" for n, one in numbered]
    return ["before the demonstrations:", *demonstrations, f"query ({query.where}):"]


def _token_lines(tokenizer: Tokenizer, tokens: Tokens, places: range) -> list[str]:
    return [
        f"{place:5} {tokens[place]:8}  {token_text(tokenizer, tokens[place])}"
        for place in places
    ]


def _answer_lines(
    prompts: EncodedPrompts, query: Example, tokens: Tokens
) -> Iterator[str]:
    """List the answers whose probabilities are read after the prompt."""
    labels, texts = prompts.labels, prompts.task.answers
    wanted = query.right if prompts.task.is_open else range(len(texts))
    yield "answer:"
    for index, answer in zip(wanted, prompts.candidates(query, tokens), strict=True):
        mark = "right" if index in query.right else "     "
        scored = answer if labels.scores_whole else answer[:1]
        named = ", ".join(
            f"{token} {token_text(prompts.tokenizer, token)}" for token in scored
        )
        yield f"{mark}  {texts[index]!r}: {named}"
    yield (
        "scored: all tokens of an answer and the one that ends it"
        if labels.scores_whole
        else "scored: the first token of each answer, which tells them apart"
    )


def _require_in_range(option: str, index: int, n: int) -> None:
    if not 0 <= index < n:
        raise OptionError(
            f"{option} is {index + 1}. Expected 1 to {n}, as many as there are. Pass "
            f"{option} 1, or larger sizes."
        )
