"""Text tasks, drawn: which rows demonstrate, which are queries, as text and as tokens.

Demonstration sets are disjoint draws from the train rows; queries come from the test
rows; calibration queries are train rows that never demonstrate. A set and its queries
come from one group of rows where the data has groups.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from probes.errors import DataError
from probes.rows import Description, LabelledRows, Row
from probes.tasks import Settings, seed_of

Labels = Literal["gold", "shuffled"]
Queries = Literal["verdict", "calibration"]


@dataclass(frozen=True, kw_only=True)
class Example:
    """A row in words: the query text, its answer text, and where it stands."""

    ask: str
    answer: str
    label: int
    where: str


@dataclass(frozen=True, kw_only=True)
class TextTask:
    """What a cell shows a text model.

    Attributes:
        demonstrations: n_sets tuples of n_demonstrations examples.
        queries: n_sets tuples of n_queries examples.
        answers: Text of the answer for every label, in the order of the labels.
        description: Template and separators.
    """

    demonstrations: tuple[tuple[Example, ...], ...]
    queries: tuple[tuple[Example, ...], ...]
    answers: tuple[str, ...]
    description: Description

    def reordered(self, seed: int) -> TextTask:
        """Shuffle the demonstrations of each set by a seeded permutation."""
        rng = np.random.default_rng(seed)
        shuffled = tuple(
            tuple(shown[i] for i in rng.permutation(len(shown)))
            for shown in self.demonstrations
        )
        return replace(self, demonstrations=shuffled)

    def alone(self, example: Example) -> str:
        """Write the prompt of a query with no demonstrations."""
        return self.description.instruction + example.ask

    def in_context(self, shown: Sequence[Example], query: Example) -> str:
        """Write the prompt of a query after its demonstrations."""
        parts = [*(e.ask + e.answer for e in shown), query.ask]
        return self.description.instruction + self.description.separator.join(parts)


def draw_text(
    rows: LabelledRows,
    settings: Settings,
    *,
    n_demonstrations: int,
    draw: int = 0,
    labels: Labels = "gold",
    queries: Queries = "verdict",
) -> TextTask:
    """Choose the rows of a cell.

    Args:
        rows: The dataset.
        settings: Sizes and seed.
        n_demonstrations: Demonstrations in each set.
        draw: 0 draws the cell's sets; another number draws, for each set, other rows
            of the same group, for comparing ICL with ICL under other demonstrations.
        labels: "shuffled" redraws each demonstration's label from the train labels.
        queries: "calibration" asks train rows that demonstrate nowhere.

    Raises:
        DataError: There are too few rows; the message says how many are wanted.
    """
    pools = [
        _Pool.of(rows, settings, group, n_demonstrations) for group in _groups(rows)
    ]
    shown, asked = [], []
    rng = np.random.default_rng(seed_of("labels", settings.seed, draw))
    every_label = [row.label for row in rows.train]
    for index in range(settings.n_sets):
        pool = pools[index % len(pools)]
        chosen = pool.demonstrations(index // len(pools), draw)
        given = [
            row.label
            if labels == "gold"
            else every_label[rng.integers(len(every_label))]
            for row in chosen
        ]
        shown.append(
            tuple(_example(rows, *pair) for pair in zip(chosen, given, strict=True))
        )
        source = pool.queries if queries == "verdict" else pool.calibration
        asked.append(tuple(_example(rows, row, row.label) for row in source))
    return TextTask(
        demonstrations=tuple(shown),
        queries=tuple(asked),
        answers=tuple(_answer(rows, label) for label in rows.labels),
        description=rows.description,
    )


def _groups(rows: LabelledRows) -> list[str]:
    return sorted({row.group for row in rows.train})


def _answer(rows: LabelledRows, label: str) -> str:
    return rows.description.answer.replace("{label}", rows.description.word_for(label))


def _example(rows: LabelledRows, row: Row, label: str) -> Example:
    return Example(
        ask=rows.description.ask(row),
        answer=_answer(rows, label),
        label=rows.labels.index(label),
        where=row.where,
    )


@dataclass(frozen=True, kw_only=True)
class _Pool:
    """The shuffled rows of one group, cut into calibration, demonstrations, queries."""

    calibration: tuple[Row, ...]
    rest: tuple[Row, ...]
    queries: tuple[Row, ...]
    n_demonstrations: int
    seed: int

    @classmethod
    def of(cls, rows: LabelledRows, settings: Settings, group: str, n: int) -> _Pool:
        n_groups = len(_groups(rows))
        n_sets = -(-settings.n_sets // n_groups)
        train = _shuffled(rows.train, group, settings.seed)
        test = _shuffled(rows.test, group, settings.seed)
        wanted = {
            "train": settings.n_calibration + n_sets * n,
            "test": settings.n_queries,
        }
        for split, found in (("train", train), ("test", test)):
            if len(found) < wanted[split]:
                of_group = f" of group {group!r}" if group else ""
                raise DataError(
                    f"{rows.name} has {len(found)} {split} rows{of_group}, and the "
                    f"cell needs {wanted[split]} ({n_sets} sets × {n} demonstrations + "
                    f"{settings.n_calibration} calibration queries from train, "
                    f"{settings.n_queries} queries from test). Expected enough rows "
                    f"for disjoint sets. Pass smaller --demos, --sets, --calibration "
                    f"or --queries, or more rows."
                )
        return cls(
            calibration=train[: settings.n_calibration],
            rest=train[settings.n_calibration :],
            queries=test[: settings.n_queries],
            n_demonstrations=n,
            seed=settings.seed,
        )

    def demonstrations(self, index: int, draw: int) -> tuple[Row, ...]:
        n = self.n_demonstrations
        own = range(index * n, (index + 1) * n)
        if draw == 0:
            return self.rest[own.start : own.stop]
        others = [row for i, row in enumerate(self.rest) if i not in own]
        if len(others) < n:
            raise DataError(
                f"Only {len(others)} train rows are left beside a demonstration set, "
                f"and another set needs {n}. Expected twice --demos and the "
                f"calibration queries. Pass smaller --demos or more rows."
            )
        rng = np.random.default_rng(seed_of("draw", self.seed, index, draw))
        return tuple(others[i] for i in rng.choice(len(others), n, replace=False))


def _shuffled(rows: tuple[Row, ...], group: str, seed: int) -> tuple[Row, ...]:
    found = [row for row in rows if row.group == group]
    order = np.random.default_rng(seed_of("rows", seed, group)).permutation(len(found))
    return tuple(found[i] for i in order)


class Tokenizer(Protocol):
    """What this project asks of a Hugging Face tokenizer."""

    def __call__(self, text: list[str]) -> dict[str, list[list[int]]]:
        """Tokenise a batch of texts, with the special tokens of the model."""

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        """Name tokens."""


@dataclass(frozen=True, kw_only=True)
class Verbalized:
    """The labels of a task in tokens.

    Attributes:
        bridge: Tokens that every answer begins with and that say nothing, such as "▁";
            they belong to the prompt.
        answers: Tokens of each label's answer after the bridge; first ones differ.
    """

    bridge: tuple[int, ...]
    answers: tuple[tuple[int, ...], ...]

    @property
    def first_tokens(self) -> list[int]:
        """The token that stands for each label in next-token probabilities."""
        return [answer[0] for answer in self.answers]


def verbalize(tokenizer: Tokenizer, task: TextTask) -> Verbalized:
    """Split prompt from answer by tokenising both together.

    A label tokenised alone may begin with other tokens than it has in its place, and
    with some tokenizers all labels then begin alike.

    Raises:
        DataError: Two labels begin with the same token, or the tokenizer merges the end
            of the query with the answer.
    """
    prompts = {task.alone(e): e for shown in task.queries for e in shown}
    first = next(iter(prompts))
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
    """Tokenise prompts, refusing those that do not fit; never truncate.

    Args:
        tokenizer: The model's.
        prompts: Text, and the row that it asks, for messages.
        context: The model's longest input, in tokens.
        room: Tokens that still follow the prompt.

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
    found = dict(zip(unique, tokenizer(unique)["input_ids"], strict=True))
    return [list(found[text]) for text in texts]


def without_long_rows(
    rows: LabelledRows, tokenizer: Tokenizer, longest: int
) -> LabelledRows:
    """Leave out the rows that have more tokens than their share of the context.

    Raises:
        DataError: No row of a split is short enough.
    """
    described = rows.description
    extra = described.instruction + described.separator

    def short(split: tuple[Row, ...]) -> tuple[Row, ...]:
        texts = [extra + described.demonstrate(row) for row in split]
        lengths = map(len, _encode(tokenizer, texts))
        kept = tuple(r for r, n in zip(split, lengths, strict=True) if n <= longest)
        if not kept:
            raise DataError(
                f"{rows.name} has no row of at most {longest} tokens, the share of the "
                f"model's context that each prompt part has. Expected some short rows. "
                f"Pass smaller --demos, or a model with a longer context."
            )
        return kept

    return replace(rows, train=short(rows.train), test=short(rows.test))


def group_by_set(
    items: Sequence[Sequence[Example]],
) -> dict[Example, list[tuple[int, int]]]:
    """Map each distinct example to the places (set, position) where it is asked."""
    places: dict[Example, list[tuple[int, int]]] = defaultdict(list)
    for s, examples in enumerate(items):
        for q, example in enumerate(examples):
            places[example].append((s, q))
    return places
