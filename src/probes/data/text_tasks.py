"""Text tasks, drawn: which rows demonstrate, which are queries, as text.

Demonstration sets are disjoint draws from the train rows; queries come from the test
rows; calibration queries are train rows that never demonstrate. If the data has groups,
a set and its queries come from one group.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from probes.bounded_io import brief
from probes.cell import Settings
from probes.data.changed_labels import (
    Labels,
    abstracted,
    changed,
    require_changeable,
)
from probes.data.labelled_rows import LabelledRows
from probes.data.reversed_rows import reversed_description, reversed_rows
from probes.data.row_pools import Queries, RowPool, groups_of
from probes.data.shown_subsets import Places
from probes.data.template import Description, Row
from probes.data.unrelated_text import Wording, with_unrelated_words, words_of
from probes.data.word_ciphers import CIPHERS, enciphered_sets
from probes.errors import DataError
from probes.hashing import seed_of


@dataclass(frozen=True, kw_only=True)
class Example:
    """A row in words.

    Attributes:
        ask: Text up to the answer.
        answer: Text of the answer.
        label: Index of the label in ``TextTask.answers``; on open tasks, of the answer
            that demonstrations show.
        where: File and line, for messages.
        also_right: Indices of other right answers; open tasks only.
    """

    ask: str
    answer: str
    label: int
    where: str
    also_right: tuple[int, ...] = ()

    @property
    def right(self) -> tuple[int, ...]:
        """The indices of all right answers."""
        return (self.label, *self.also_right)


@dataclass(frozen=True, kw_only=True)
class TextTask:
    """The texts of a cell.

    Attributes:
        demonstrations: n_sets tuples of n_demonstrations examples.
        queries: n_sets tuples of n_queries examples.
        answers: Text of the answer for every label, in the order of the labels; on open
            tasks, of every answer in the task.
        description: Template and separators.
    """

    demonstrations: tuple[tuple[Example, ...], ...]
    queries: tuple[tuple[Example, ...], ...]
    answers: tuple[str, ...]
    description: Description

    @property
    def is_open(self) -> bool:
        """Whether the answers are open words rather than a closed set of labels."""
        return self.description.is_open

    def orders(self, seed: int | None) -> Places:
        """Draw an order of each set's demonstrations; None keeps the order drawn.

        Returns:
            Places of demonstrations, shape (n_sets, n_demonstrations).
        """
        sizes = [len(examples) for examples in self.demonstrations]
        if seed is None:
            return np.array([np.arange(n) for n in sizes])
        rng = np.random.default_rng(seed)
        return np.array([rng.permutation(n) for n in sizes])

    def reordered(self, seed: int) -> TextTask:
        """Shuffle the demonstrations of each set by a seeded permutation."""
        return self.showing(self.orders(seed)[:, None])

    def showing(self, places: Places) -> TextTask:
        """Make several sets of each set, with some of its demonstrations.

        Args:
            places: See ``shown_subsets.places_shown``; shape (n_sets, n_made, n_shown).
        """
        shown = tuple(
            tuple(examples[place] for place in made)
            for examples, of_set in zip(self.demonstrations, places, strict=True)
            for made in of_set
        )
        n_made = places.shape[1]
        asked = tuple(queries for queries in self.queries for _ in range(n_made))
        return replace(self, demonstrations=shown, queries=asked)

    def relabelled(self, places: Places) -> TextTask:
        """Give some demonstrations the label that follows their own, in a circle.

        Args:
            places: True where the label changes, shape (n_sets, n_demonstrations).

        Raises:
            DataError: A label is to change, but the answers are open.
        """
        if self.is_open and places.any():
            raise DataError(
                "Labels of single demonstrations were to be changed, but the answers "
                "are open. Expected a closed set of labels, in which one follows the "
                "other. Use a dataset with labels."
            )
        pairs = zip(self.demonstrations, places, strict=True)
        changed = tuple(
            tuple(map(self._with_next_label, examples, at)) for examples, at in pairs
        )
        return replace(self, demonstrations=changed)

    def _with_next_label(self, example: Example, is_changed: bool) -> Example:
        if not is_changed:
            return example
        label = (example.label + 1) % len(self.answers)
        return replace(example, label=label, answer=self.answers[label])

    def alone(self, example: Example) -> str:
        """Write the prompt of a query without demonstrations."""
        return self.description.instruction + example.ask

    def in_context(self, demonstrations: Sequence[Example], query: Example) -> str:
        """Write the prompt of a query after its demonstrations."""
        parts = [*(e.ask + e.answer for e in demonstrations), query.ask]
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
        draw: 0 draws the cell's sets. Another number draws other rows of the same group
            for each set, to compare ICL with ICL after other demonstrations.
        labels: The demonstrations' labels (see ``changed_labels``).
        wording: The words of inputs (see ``unrelated_text``).
        queries: What is asked.

    Raises:
        DataError: There are too few rows; the message says how many are needed. Or
            the answers are open and their labels cannot be changed like this.
    """
    _require_a_choice(rows)
    require_changeable(rows, labels)
    if labels == "abstract":
        rows = abstracted(rows)
    pools = [RowPool.of(rows, settings, g, n_demonstrations) for g in groups_of(rows)]
    pool_of_set = [pools[index % len(pools)] for index in range(settings.n_sets)]
    rng = np.random.default_rng(seed_of("labels", settings.seed, draw))
    sets = [
        _relabelled(chosen, changed(chosen, labels, rows, rng))
        for chosen in _demonstrating_rows(
            rows, settings.seed, pool_of_set, draw, wording
        )
    ]
    asked = [
        pool.asked(queries, shown)
        for pool, shown in zip(pool_of_set, sets, strict=True)
    ]
    if wording in CIPHERS:
        seed = seed_of("cipher", settings.seed, draw)
        sets, asked = enciphered_sets(
            sets, asked, (*rows.train, *rows.test), seed=seed, wording=wording
        )
    asking = rows
    if queries == "reversed":
        asking = replace(
            rows, description=reversed_description(rows.name, rows.description)
        )
        asked = [reversed_rows(chosen, rows.description) for chosen in asked]
    known = rows.labels or _answers_of([*sets, *asked])
    return TextTask(
        demonstrations=tuple(_examples(rows, chosen, known) for chosen in sets),
        queries=tuple(_examples(asking, chosen, known) for chosen in asked),
        answers=tuple(_answer(rows, label) for label in known),
        description=rows.description,
    )


def _require_a_choice(rows: LabelledRows) -> None:
    """Refuse a closed set of a single label.

    Raises:
        DataError: Every answer is the same.
    """
    if len(rows.labels) == 1:
        raise DataError(
            f"Every row of {rows.name} has the label {brief(rows.labels[0])}. Expected "
            f"at least two labels to choose from. Add rows with other labels, or name "
            f"the label's column under [columns] in the TOML."
        )


def _relabelled(chosen: Sequence[Row], labels: Sequence[str]) -> tuple[Row, ...]:
    """Give rows other labels; a row that keeps its own keeps all right answers."""
    return tuple(
        row if row.label == label else replace(row, label=label, also_right=())
        for row, label in zip(chosen, labels, strict=True)
    )


def _answers_of(chosen: Sequence[Sequence[Row]]) -> tuple[str, ...]:
    """List the distinct right answers of rows, in alphabetical order."""
    rows = [row for of_set in chosen for row in of_set]
    return tuple(sorted({a for row in rows for a in (row.label, *row.also_right)}))


def _demonstrating_rows(
    rows: LabelledRows,
    seed: int,
    pool_of_set: Sequence[RowPool],
    draw: int,
    wording: Wording,
) -> Iterator[tuple[Row, ...]]:
    """Yield the rows of each demonstration set; sets take turns among the groups."""
    n_groups = len(groups_of(rows))
    words = words_of(rows.train) if wording == "unrelated" else {}
    for index, pool in enumerate(pool_of_set):
        chosen = pool.demonstrations(index // n_groups, draw)
        if words:
            own_seed = seed_of("words", seed, draw, index)
            chosen = with_unrelated_words(chosen, words, own_seed)
        yield chosen


def _examples(
    rows: LabelledRows, chosen: Sequence[Row], known: Sequence[str]
) -> tuple[Example, ...]:
    """Write rows in words.

    Args:
        rows: The dataset.
        chosen: The rows.
        known: All labels or, on open tasks, all answers of the task.
    """
    index = {label: i for i, label in enumerate(known)}
    return tuple(
        Example(
            ask=rows.description.ask(row),
            answer=_answer(rows, row.label),
            label=index[row.label],
            where=row.where,
            also_right=tuple(index[answer] for answer in row.also_right),
        )
        for row in chosen
    )


def _answer(rows: LabelledRows, label: str) -> str:
    return rows.description.answer.replace("{label}", rows.description.word_for(label))


def places_of(
    sets: Sequence[Sequence[Example]],
) -> dict[Example, list[tuple[int, int]]]:
    """Map each distinct example to the places (set, position) where it occurs."""
    places: dict[Example, list[tuple[int, int]]] = defaultdict(list)
    for s, examples in enumerate(sets):
        for q, example in enumerate(examples):
            places[example].append((s, q))
    return places
