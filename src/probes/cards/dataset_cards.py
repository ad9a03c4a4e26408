"""Cards of datasets: where tasks or rows come from, and who can read them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Family = Literal["regression", "text"]
GridSize = Literal["default", "full"]
Inputs = Literal["uniform", "normal", "laplace", "exponential"]
AnswerKind = Literal["labels", "open"]
"""A row's answer: one of a closed set of labels, or any words."""
CHANGES_OF_A_CLOSED_SET = ("flipped", "abstract")
"""Changes of the demonstrations' labels that open answers do not allow."""
NEEDING_CLOSED_LABELS = (*CHANGES_OF_A_CLOSED_SET, "gd_label_words")
"""Variants of claims that open answers do not allow."""


@dataclass(frozen=True, kw_only=True)
class LinearTasks:
    """A distribution of linear-regression tasks y = w·x + noise.

    Attributes:
        n_inputs: Dimension d.
        input_scale: Uniform inputs are in [−scale, scale]^d; other distributions have
            the same mean square.
        inputs: The distribution of inputs: "uniform", "normal", "laplace", or
            "exponential", which is positive.
        condition: Largest divided by smallest standard deviation of the coordinates;
            1 is isotropic.
        noise: Standard deviation of the noise on the demonstrations' answers.
        teacher_mean: Mean of each coordinate of w.
        teacher_scale: Standard deviation of each coordinate of w.
        n_teachers: M, if tasks share a pool of M teachers, drawn once (see
            ``regression_tasks.teacher_pool``); 0 gives every task a teacher of its own.
    """

    n_inputs: int = 10
    input_scale: float = 1.0
    inputs: Inputs = "uniform"
    condition: float = 1.0
    noise: float = 0.0
    teacher_mean: float = 0.0
    teacher_scale: float = 1.0
    n_teachers: int = 0


@dataclass(frozen=True, kw_only=True)
class TextRows:
    """Where labelled rows are, and how they become prompts.

    Attributes:
        location: A folder with train and test files, or one file (.jsonl, .csv, .tsv or
            .json). A relative path is looked up in ``--data-dir``.
        description: A TOML file with columns, template and verbalizer; None for the
            one beside the rows, or the defaults.
        templates: Names of descriptions, each with its TOML file. ``--template``
            chooses among them; until then, ``description`` holds.
        hub: Hub id, and configuration, of rows that are not in the folder; empty for
            none.
        answers: "labels" of a closed set, or "open"; the TOML file says the same.
        reversible: Whether rows can be asked in reverse, for the input given the
            answer; the TOML file says how.
        keeps_repeats: Whether rows that ask the same are different rows, as samples of
            a process with few queries are. Otherwise only the first of them is read.
    """

    location: str
    description: str | None = None
    templates: tuple[tuple[str, str], ...] = ()
    hub: str = ""
    answers: AnswerKind = "labels"
    reversible: bool = False
    keeps_repeats: bool = False


@dataclass(frozen=True, kw_only=True)
class DatasetCard:
    """A dataset.

    Attributes:
        name: Identifier, as in the matrix.
        family: Which models can read it: "regression" networks or "text" models.
        summary: One line for ``--list-datasets``.
        rows: Where its tasks or rows come from.
        language: The language of models that can read it.
        shipped: Part of the default run; needs no download.
        full_only: Part of ``--grid full`` only.
        demonstrations: Numbers of demonstrations, unless ``--demos`` gives others.
        full_demonstrations: The same for ``--grid full``; empty for no difference.
    """

    name: str
    family: Family
    summary: str
    rows: LinearTasks | TextRows
    language: str = "english"
    shipped: bool = False
    full_only: bool = False
    demonstrations: tuple[int, ...] = (4, 8)
    full_demonstrations: tuple[int, ...] = ()

    @property
    def has_finite_rows(self) -> bool:
        """Whether its rows may run out; regression tasks are drawn without end."""
        return isinstance(self.rows, TextRows)

    @property
    def has_closed_labels(self) -> bool:
        """Whether every answer is one of a few labels; other answers are open words."""
        return isinstance(self.rows, TextRows) and self.rows.answers == "labels"

    @property
    def can_be_reversed(self) -> bool:
        """Whether its rows can be asked for the input, given the answer."""
        return isinstance(self.rows, TextRows) and self.rows.reversible

    @property
    def templates(self) -> tuple[str, ...]:
        """Names of the templates that ``--template`` may choose, the present first."""
        if not isinstance(self.rows, TextRows):
            return ()
        present = self.rows.description
        in_order = sorted(self.rows.templates, key=lambda pair: pair[1] != present)
        return tuple(name for name, _ in in_order)

    def with_template(self, name: str) -> DatasetCard:
        """Return the dataset with the template of a name; itself if it has none."""
        if name not in self.templates:
            return self
        assert isinstance(self.rows, TextRows)
        path = dict(self.rows.templates)[name]
        return replace(self, rows=replace(self.rows, description=path))

    def demonstrations_of(self, size: GridSize) -> tuple[int, ...]:
        """List the numbers of demonstrations of a grid."""
        full = self.full_demonstrations if size == "full" else ()
        return full or self.demonstrations
