"""Labels in tokens, and tokenised prompts that are never cut off.

Prompt and answer are tokenised together and then split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from probes.data.labelled_rows import LabelledRows
from probes.data.template import Row
from probes.data.text_tasks import TextTask
from probes.errors import DataError


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer that this project uses."""

    def __call__(self, text: list[str]) -> dict[str, list[list[int]]]:
        """Tokenise a batch of texts, with the special tokens of the model."""

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        """Name tokens."""


@dataclass(frozen=True, kw_only=True)
class Verbalized:
    """The labels of a task in tokens.

    Attributes:
        bridge: Tokens with which every answer begins, such as "▁". They say nothing
            about the label and belong to the prompt.
        answers: Tokens of each label's answer after the bridge. The first ones differ.
    """

    bridge: tuple[int, ...]
    answers: tuple[tuple[int, ...], ...]

    @property
    def first_tokens(self) -> list[int]:
        """The token of each label in next-token probabilities."""
        return [answer[0] for answer in self.answers]


def verbalize(tokenizer: Tokenizer, task: TextTask) -> Verbalized:
    """Split prompt from answer by tokenising both together.

    A label that is tokenised alone may begin with other tokens than after the prompt,
    and with some tokenizers all labels then begin with the same token.

    Raises:
        DataError: Two labels begin with the same token, or the tokenizer merges the end
            of the query with the answer.
    """
    first = task.alone(task.queries[0][0])
    ask, *joint = _encode(tokenizer, [first, *(first + a for a in task.answers)])
    tails = [
        _after(ask, whole, first, a)
        for whole, a in zip(joint, task.answers, strict=True)
    ]
    shared = common_prefix(tails)
    words = "".join(tokenizer.convert_ids_to_tokens(list(tails[0][:shared])))
    if words.strip("▁Ġ \n") or min(map(len, tails)) <= shared:
        raise DataError(
            f"The verbalizers {[a.strip() for a in task.answers]} all begin with the "
            f"token {words!r}. Expected a different first token for each label. Choose "
            f"other words under [verbalizer]."
        )
    verbalized = Verbalized(
        bridge=tails[0][:shared], answers=tuple(tail[shared:] for tail in tails)
    )
    _require_distinct(tokenizer, verbalized, task)
    return verbalized


def _require_distinct(tokenizer: Tokenizer, labels: Verbalized, task: TextTask) -> None:
    firsts = labels.first_tokens
    for index, token in enumerate(firsts):
        if token in firsts[:index]:
            pair = [
                task.answers[firsts.index(token)].strip(),
                task.answers[index].strip(),
            ]
            raise DataError(
                f"The verbalizers {pair} collide: both begin with the token "
                f"{tokenizer.convert_ids_to_tokens([token])[0]!r}. Expected a "
                f"different first token for each label. Choose other words under "
                f"[verbalizer]."
            )


def _after(
    ask: list[int], whole: list[int], prompt: str, answer: str
) -> tuple[int, ...]:
    if whole[: len(ask)] != ask:
        raise DataError(
            f"The tokenizer merges the end of the prompt {prompt[-30:]!r} with the "
            f"answer {answer!r}. Expected the prompt's tokens to stay the same when "
            f"the answer follows. Let the query template end in a colon and the answer "
            f"begin with a space."
        )
    return tuple(whole[len(ask) :])


def common_prefix(sequences: Sequence[Sequence[int]]) -> int:
    """Count the leading tokens that all sequences share."""
    shared = 0
    for tokens in zip(*sequences, strict=False):
        if len(set(tokens)) > 1:
            break
        shared += 1
    return shared


def encode_checked(
    tokenizer: Tokenizer, prompts: list[tuple[str, str]], *, context: int, room: int
) -> list[list[int]]:
    """Tokenise prompts and refuse those that do not fit; never cut anything off.

    Args:
        tokenizer: The model's tokenizer.
        prompts: Texts, each with the row that a message names.
        context: The model's longest input, in tokens.
        room: Tokens that follow the prompt.

    Raises:
        DataError: A prompt is too long; the message names the row and both lengths.
    """
    encoded = _encode(tokenizer, [text for text, _ in prompts])
    for tokens, (_, where) in zip(encoded, prompts, strict=True):
        if len(tokens) + room > context:
            raise DataError(
                f"The prompt that asks {where} has {len(tokens) + room} tokens, and "
                f"the model reads {context}. Expected it to fit; nothing is cut off "
                f"silently. Pass smaller --demos, shorter rows, or a model with a "
                f"longer context."
            )
    return encoded


def _encode(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    unique = list(dict.fromkeys(texts))
    encoded = dict(zip(unique, tokenizer(unique)["input_ids"], strict=True))
    return [list(encoded[text]) for text in texts]


def without_long_rows(
    rows: LabelledRows, tokenizer: Tokenizer, longest: int
) -> LabelledRows:
    """Remove the rows that have more tokens than their share of the context.

    Raises:
        DataError: No row of a split is short enough.
    """
    described = rows.description
    extra = described.instruction + described.separator

    def short(split: tuple[Row, ...]) -> tuple[Row, ...]:
        texts = [extra + described.demonstrate(row) for row in split]
        lengths = map(len, _encode(tokenizer, texts))
        fitting = tuple(r for r, n in zip(split, lengths, strict=True) if n <= longest)
        if not fitting:
            raise DataError(
                f"{rows.name} has no row of at most {longest} tokens, which is one "
                f"demonstration's share of the model's context. Expected some short "
                f"rows. Pass smaller --demos, or a model with a longer context."
            )
        return fitting

    return replace(rows, train=short(rows.train), test=short(rows.test))
