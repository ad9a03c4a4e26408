"""Text tasks, drawn: which rows demonstrate, which are queries, as text.

Demonstration sets are disjoint draws from the train rows; queries come from the test
rows; calibration queries are train rows that never demonstrate. A set and its queries
come from one group of rows where the data has groups.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from probes.cell import Settings
from probes.data.labelled_rows import LabelledRows
from probes.data.template import Description, Row
from probes.data.unrelated_text import Wording, reworded, words_of
from probes.errors import DataError
from probes.hashing import seed_of

Labels = Literal["gold", "shuffled", "flipped", "abstract"]
Queries = Literal["verdict", "calibration"]

NEUTRAL_WORDS = ("foo", "bar", "zip", "dog", "cup", "map", "sun")
"""Words for abstract labels: short, and of different first tokens in BPE vocabularies
of English; labels that collide all the same are refused when they are tokenised."""


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
    wording: Wording = "own",
    queries: Queries = "verdict",
) -> TextTask:
    """Choose the rows of a cell.

    Args:
        rows: The dataset.
        settings: Sizes and seed.
        n_demonstrations: Demonstrations in each set.
        draw: 0 draws the cell's sets; another number draws, for each set, other rows
            of the same group, for comparing ICL with ICL under other demonstrations.
        labels: "shuffled" redraws each demonstration's label from the train labels;
            "flipped" gives every label the next one's place, the last the first's;
            "abstract" gives every label, also the queries' right one, another word
            (see :func:`abstracted`).
        wording: "unrelated" exchanges the words of each demonstration's input, and
            nothing of its label, for words that say nothing of it (see ``wording``).
        queries: "calibration" asks train rows that demonstrate nowhere.

    Raises:
        DataError: There are too few rows; the message says how many are wanted.
    """
    if labels == "abstract":
        rows = abstracted(rows)
    pools = [
        _Pool.of(rows, settings, group, n_demonstrations) for group in _groups(rows)
    ]
    shown, asked, drawn_by = [], [], (settings.seed, draw)
    rng = np.random.default_rng(seed_of("labels", *drawn_by))
    words = words_of(rows.train) if wording == "unrelated" else {}
    every_label = [row.label for row in rows.train]
    for index in range(settings.n_sets):
        pool = pools[index % len(pools)]
        chosen = pool.demonstrations(index // len(pools), draw)
        if words:
            chosen = reworded(chosen, words, seed_of("words", *drawn_by, index))
        given = [row.label for row in chosen]
        if labels == "shuffled":
            given = [every_label[rng.integers(len(every_label))] for _ in chosen]
        if labels == "flipped":
            given = [flipped(rows.labels, label) for label in given]
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


def largest_set(rows: LabelledRows, settings: Settings) -> int:
    """Count the demonstrations that the train rows give to each of disjoint sets."""
    groups = _groups(rows)
    n_sets = -(-settings.n_sets // len(groups))
    fewest = min(sum(row.group == group for row in rows.train) for group in groups)
    return max(fewest - settings.n_calibration, 0) // n_sets


def flipped(labels: Sequence[str], label: str) -> str:
    """Give the label whose place a label takes: the next one; two labels swap."""
    return labels[(labels.index(label) + 1) % len(labels)]


def abstracted(rows: LabelledRows) -> LabelledRows:
    """Give labels words that say nothing of them.

    Where there are more labels than neutral words, as in a language of symbols, every
    label gets the word of the label half the list away: also a symbol, but another's.
    """
    n = len(rows.labels)
    words = [rows.description.word_for(label) for label in rows.labels]
    others = words[n // 2 :] + words[: n // 2]
    chosen = NEUTRAL_WORDS[:n] if n <= len(NEUTRAL_WORDS) else others
    verbalizer = dict(zip(rows.labels, chosen, strict=True))
    return replace(rows, description=replace(rows.description, verbalizer=verbalizer))


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


def places_of(
    sets: Sequence[Sequence[Example]],
) -> dict[Example, list[tuple[int, int]]]:
    """Map each distinct example to the places (set, position) where it occurs."""
    places: dict[Example, list[tuple[int, int]]] = defaultdict(list)
    for s, examples in enumerate(sets):
        for q, example in enumerate(examples):
            places[example].append((s, q))
    return places
