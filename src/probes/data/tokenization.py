"""Labels in tokens, and tokenised prompts that are never cut off.

Prompt and answer are tokenised together and then split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from probes.bounded_io import brief
from probes.data.text_tasks import Example, TextTask
from probes.errors import DataError


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer that this project uses."""

    def __call__(self, text: list[str]) -> dict[str, list[list[int]]]:
        """Tokenise a batch of texts, with the special tokens of the model."""

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        """Name tokens."""

    def __len__(self) -> int:
        """Count its tokens."""

    @property
    def bos_token_id(self) -> int | None:
        """The token that begins a text, if there is one."""

    @property
    def eos_token_id(self) -> int | None:
        """The token that ends a text, if there is one."""

    def decode(self, ids: list[int]) -> str:
        """Turn tokens into text."""


@dataclass(frozen=True, kw_only=True)
class Verbalized:
    """The labels of a task in tokens; on open tasks, every answer in it.

    Attributes:
        bridge: Tokens with which every answer begins, such as "▁". They say nothing
            about the label and belong to the prompt. Open answers have none.
        answers: Tokens of each label's answer after the bridge.
        ends: The token that follows each answer in a prompt, if whole answers are
            scored. Empty if the first token tells the label.
    """

    bridge: tuple[int, ...]
    answers: tuple[tuple[int, ...], ...]
    ends: tuple[int, ...] = ()

    @property
    def first_tokens(self) -> list[int]:
        """The token of each label in next-token probabilities."""
        return [answer[0] for answer in self.answers]

    @property
    def scores_whole(self) -> bool:
        """Whether an answer's probability is that of all its tokens and its end."""
        return bool(self.ends)

    @property
    def targets(self) -> tuple[tuple[int, ...], ...]:
        """The tokens that are learned and scored: each answer, perhaps with its end."""
        if not self.ends:
            return self.answers
        pairs = zip(self.answers, self.ends, strict=True)
        return tuple((*answer, end) for answer, end in pairs)


def verbalize(tokenizer: Tokenizer, task: TextTask) -> Verbalized:
    """Split prompt from answer by tokenising both together.

    A label that is tokenised alone may begin with other tokens than after the prompt,
    and with some tokenizers all labels then begin with the same token. If two labels
    begin with the same token, or if answers are open, whole answers are scored.

    Raises:
        DataError: Two answers have the same tokens. Or the tokenizer merges an answer
            with the end of the query or, if whole answers are scored, with what
            follows it.
    """
    asked = _asked_for_each_answer(task)
    prompts = [task.alone(example) for example in asked]
    texts = [p + a for p, a in zip(prompts, task.answers, strict=True)]
    joint = encode(tokenizer, texts)
    alone = encode(tokenizer, prompts)
    parts = zip(alone, joint, asked, task.answers, strict=True)
    tails = [_after_prompt(*part) for part in parts]
    _require_different(tails, task.answers)
    blank = 0 if task.is_open else _shared_blank(tokenizer, tails)
    labels = Verbalized(
        bridge=tails[0][:blank], answers=tuple(tail[blank:] for tail in tails)
    )
    if not task.is_open and len(set(labels.first_tokens)) == len(tails):
        return labels
    following = task.description.separator + task.queries[0][0].ask
    whole = encode(tokenizer, [text + following for text in texts])
    ends = map(_end_of_answer, joint, whole, asked, task.answers)
    return replace(labels, ends=tuple(ends))


def _asked_for_each_answer(task: TextTask) -> list[Example]:
    """Choose, for each answer, the example whose prompt it is tokenised with."""
    if not task.is_open:
        return [task.queries[0][0] for _ in task.answers]
    known: dict[int, Example] = {}
    for examples in (*task.queries, *task.demonstrations):
        for example in examples:
            for index in example.right:
                known.setdefault(index, example)
    return [known[index] for index in range(len(task.answers))]


def _require_different(
    tails: Sequence[tuple[int, ...]], answers: Sequence[str]
) -> None:
    """Refuse two answers with the same tokens, such as that of unknown words."""
    known: dict[tuple[int, ...], str] = {}
    for tail, answer in zip(tails, answers, strict=True):
        other = known.setdefault(tail, answer)
        if other != answer:
            raise DataError(
                f"The answers {brief(other.strip())} and {brief(answer.strip())} have "
                f"the same tokens, {brief(list(tail))}. Expected tokens that tell them "
                f"apart. Choose other words, or a model whose tokenizer knows them."
            )


def _shared_blank(tokenizer: Tokenizer, tails: Sequence[tuple[int, ...]]) -> int:
    """Count the blank tokens, such as "▁", with which all answers begin."""
    most = min(common_prefix(tails), min(map(len, tails)) - 1)
    names = tokenizer.convert_ids_to_tokens(list(tails[0][:most]))
    blank = [not name.strip("▁Ġ \n") for name in names]
    return blank.index(False) if False in blank else most


def _after_prompt(
    ask: list[int], whole: list[int], example: Example, answer: str
) -> tuple[int, ...]:
    """Cut the answer's tokens from those of the prompt with its answer."""
    if whole[: len(ask)] != ask:
        raise DataError(
            f"The tokenizer merges the end of the prompt {example.ask[-30:]!r} with "
            f"the answer {brief(answer)} ({example.where}). Expected the prompt's "
            f"tokens to stay the same when the answer follows. Let the query template "
            f"end in a colon and the answer begin with a space."
        )
    if len(whole) == len(ask):
        raise DataError(
            f"The tokenizer has no token for the answer {brief(answer)} "
            f"({example.where}). Expected at least one. Choose other words, or a model "
            f"whose tokenizer knows them."
        )
    return tuple(whole[len(ask) :])


def _end_of_answer(
    answered: list[int], whole: list[int], example: Example, answer: str
) -> int:
    """Find the token that follows an answer in a prompt."""
    if whole[: len(answered)] != answered or len(whole) == len(answered):
        raise DataError(
            f"The tokenizer merges the end of the answer {brief(answer)} "
            f"({example.where}) with what follows it in a prompt. Expected the "
            f"answer's tokens to stay the same, because a new token must end it. Use "
            f"another separator, or an answer that ends in a letter or a digit."
        )
    return whole[len(answered)]


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
    encoded = encode(tokenizer, [text for text, _ in prompts])
    for tokens, (_, where) in zip(encoded, prompts, strict=True):
        require_fitting(len(tokens) + room, where, context=context)
        _require_one_beginning(tokenizer, tokens, where)
    return encoded


def _require_one_beginning(tokenizer: Tokenizer, tokens: list[int], where: str) -> None:
    """Refuse a text that begins with the token that the tokenizer puts before it.

    Raises:
        DataError: The prompt begins with that token twice.
    """
    begin = tokenizer.bos_token_id
    if begin is not None and tokens[:2] == [begin, begin]:
        raise DataError(
            f"The prompt that asks {where} begins twice with the token "
            f"{tokenizer.decode([begin])!r}: the tokenizer adds one itself. Expected "
            f"one. Leave it out of the template's instruction and query."
        )


def require_fitting(n_tokens: int, where: str, *, context: int) -> None:
    """Refuse a prompt, with the answer that follows it, that the model cannot read.

    Raises:
        DataError: It is too long; the message names the row and both lengths.
    """
    if n_tokens > context:
        raise DataError(
            f"The prompt that asks {where} has {n_tokens} tokens, and the model reads "
            f"{context}. Expected it to fit; nothing is cut off silently. Pass smaller "
            f"--demos, --long-rows drop to leave out long rows, or a model with a "
            f"longer context."
        )


def encode(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    """Tokenise texts, each once, without a token that ends every text."""
    unique = list(dict.fromkeys(texts))
    of_unique = map(list, tokenizer(unique)["input_ids"])
    encoded = dict(zip(unique, of_unique, strict=True))
    if (end := tokenizer.eos_token_id) is not None:
        word = tokenizer.decode([end])
        for text, tokens in encoded.items():
            if tokens[-1:] == [end] and not text.endswith(word):
                tokens.pop()  # the tokenizer ends every text; a prompt goes on
    return [list(encoded[text]) for text in texts]
