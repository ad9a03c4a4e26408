"""A row, and the description that turns rows into prompts: data, not code.

``row_files`` reads rows; ``tokenization`` and ``prompt_encoding`` know tokens.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from string import Formatter
from typing import Any, get_args

from probes.bounded_io import (
    UnreadableError,
    brief,
    read_text,
    require_inside,
    require_shallow,
)
from probes.cards import AnswerKind
from probes.errors import DataError

SECTIONS = ("template", "columns", "verbalizer")
LARGEST = 64_000
"""Bytes of a description, enough for a thousand labels with their words."""
MOST_DOTS = 100
"""Dots in one line. A parser takes n² steps for a key of n dotted parts. Only a text
has more dots than this, and it can be written on several lines."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One labelled example.

    Attributes:
        fields: Column to text, without the label.
        label: The label, as the file spells it; on open tasks the answer that
            demonstrations show.
        also_right: Other right answers; open tasks only.
        group: A demonstration set and its queries come from one group. Empty if the
            data has no groups.
        where: File and line, for messages.
    """

    fields: dict[str, str]
    label: str
    also_right: tuple[str, ...] = ()
    group: str = ""
    where: str = ""


@dataclass(frozen=True, kw_only=True)
class Description:
    """How rows become prompts. Data, not code: see any ``dataset.toml``.

    Attributes:
        query: Text up to the answer, with ``{column}`` in braces.
        answer: Text of the answer, with ``{label}`` for the verbalized label.
        separator: Between two demonstrations, and before the query.
        instruction: Text before everything else.
        reversed: Text that asks for the query's only column, with the label's column in
            braces for the answer; empty if rows cannot be asked in reverse.
        label_column: Column of the label.
        group_column: Column of the group.
        verbalizer: Label to word; None uses the labels themselves.
        answers: "labels" if the answers are a closed set of labels, else "open".
    """

    query: str = "Input: {text}\nLabel:"
    answer: str = " {label}"
    separator: str = "\n\n"
    instruction: str = ""
    reversed: str = ""
    label_column: str = "label"
    group_column: str = "group"
    verbalizer: dict[str, str] | None = None
    answers: AnswerKind = "labels"

    @property
    def is_open(self) -> bool:
        """Whether the answers are open words rather than a closed set of labels."""
        return self.answers == "open"

    @cached_property
    def columns(self) -> frozenset[str]:
        """The columns that prompts and groups are made of, besides the label's."""
        try:
            named = {column for _, column in self._parts() if column}
        except ValueError:  # whoever fills the template reports it
            named = set()
        return frozenset({*named, self.group_column})

    @property
    def input_column(self) -> str:
        """The only column of the query; empty if there are none or several."""
        try:
            named = [column for _, column in self._parts() if column]
        except ValueError:  # whoever fills the template reports it
            return ""
        return named[0] if len(named) == 1 else ""

    def word_for(self, label: str, where: str = "") -> str:
        """Verbalize a label.

        Raises:
            DataError: The verbalizer has no word for it.
        """
        if self.verbalizer is None:
            return label
        if label not in self.verbalizer:
            raise DataError(
                f"The label {brief(label)}{f' in {where}' if where else ''} has no "
                f"verbalizer. Expected one of {brief(sorted(self.verbalizer))}. Add "
                f"it under [verbalizer] in the dataset's TOML, or mend the row."
            )
        return self.verbalizer[label]

    def ask(self, row: Row) -> str:
        """Fill the query template with a row.

        Raises:
            DataError: The template names a column that the row lacks, or a name in
                braces has a format.
        """
        try:
            return "".join(
                text + ("" if column is None else row.fields[column])
                for text, column in self._parts()
            )
        except (LookupError, ValueError) as error:
            raise DataError(
                f"The template {self.query!r} cannot be filled from {row.where}, whose "
                f"columns are {brief(sorted(row.fields))}. Expected every name in "
                f"braces to be a column. Add the columns to the rows, or choose or "
                f"mend the template ({error!r})."
            ) from error

    def _parts(self) -> Iterator[tuple[str, str | None]]:
        """Split the query into texts, each with the column that follows it.

        ``str.format`` is not safe here: a width such as {text:999999999} would fill the
        memory, and attributes would be looked up on our own objects.
        """
        for text, column, form, conversion in Formatter().parse(self.query):
            if form or conversion:
                raise ValueError(f"{column} is not a bare name")
            yield text, column

    def require_filled(self, row: Row) -> None:
        """Refuse a row that leaves a gap in the query.

        Raises:
            DataError: A column of the template is missing or empty.
        """
        self.ask(row)
        for _, column in self._parts():
            if column and not row.fields[column].strip():
                raise DataError(
                    f"{row.where} has an empty {column!r}, which the template uses. "
                    f"Expected text in every row. Fill it in or remove the row."
                )

    def demonstrate(self, row: Row, label: str | None = None) -> str:
        """Fill the template with a row and its label, or another label."""
        word = self.word_for(row.label if label is None else label, row.where)
        return self.ask(row) + self.answer.replace("{label}", word)


def read_description(place: Path, description: str | None) -> tuple[Description, str]:
    """Read the TOML next to the rows; return the description and its text.

    Args:
        place: Folder or file of the rows.
        description: Another TOML file; None takes the one next to the rows.

    Raises:
        DataError: The TOML is broken or has an unknown key.
    """
    own = place / "dataset.toml" if place.is_dir() else place.with_suffix(".toml")
    path = Path(description) if description else own
    if not path.exists():
        if description:
            raise DataError(
                f"The description {path} does not exist. Expected a TOML file with the "
                f"template and the verbalizer. Check the path."
            )
        return Description(), ""
    try:
        if not description and place.is_dir():
            require_inside(path, place)
        text = read_text(path, limit=LARGEST)
        table = _parse(text)
    except (OSError, ValueError) as error:  # no TOML, no UTF-8, or out of bounds
        raise DataError(
            f"{path} is not valid TOML: {error}. Expected [template], [columns] and "
            f"[verbalizer]. Mend the file."
        ) from error
    return _description(table, path), text


def _parse(text: str) -> dict[str, Any]:
    """Parse TOML in bounded time and depth."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > MOST_DOTS:
            raise UnreadableError(f"line {number} has more than {MOST_DOTS} dots")
    try:
        table = tomllib.loads(text)
    except RecursionError as error:
        raise UnreadableError("it is nested too deeply") from error
    require_shallow(table)
    return table


def _description(table: dict[str, Any], path: Path) -> Description:
    table = dict(table)
    answers = _answer_kind(table, path)
    for section, values in table.items():
        if section not in SECTIONS or not isinstance(values, dict):
            raise DataError(
                f"{path} has {section} = {brief(values)}. Expected the tables "
                f"{', '.join(f'[{s}]' for s in SECTIONS)}. Rename or remove it."
            )
    template, columns = table.get("template", {}), table.get("columns", {})
    known = {
        "template": {"query", "answer", "separator", "instruction", "reversed"},
        "columns": {"label", "group"},
    }
    for section, values in (("template", template), ("columns", columns)):
        for key, value in values.items():
            if key not in known[section] or not isinstance(value, str):
                raise DataError(
                    f"{path} has [{section}] {key} = {brief(value)}. Expected text "
                    f"under one of {sorted(known[section])}. Rename or remove it."
                )
    verbalizer = table.get("verbalizer")
    for label, word in (verbalizer or {}).items():
        if not isinstance(word, str):
            raise DataError(
                f"{path} has [verbalizer] {label} = {brief(word)}. Expected a word in "
                f"quotes. Quote it."
            )
    return Description(
        **template,
        **{f"{key}_column": value for key, value in columns.items()},
        verbalizer=None
        if verbalizer is None
        else {str(k): str(v) for k, v in verbalizer.items()},
        answers=answers,
    )


def _answer_kind(table: dict[str, Any], path: Path) -> AnswerKind:
    """Take the kind of answers out of a description's table."""
    kind: AnswerKind = table.pop("answers", "labels")
    if kind not in get_args(AnswerKind):
        raise DataError(
            f"{path} has answers = {brief(kind)}. Expected "
            f"{' or '.join(map(repr, get_args(AnswerKind)))}, above all tables. Mend "
            f"or remove the line."
        )
    if kind == "open" and "verbalizer" in table:
        raise DataError(
            f"{path} has a [verbalizer] and open answers. Expected words for labels, "
            f"or answers that are words themselves. Remove one of the two."
        )
    return kind
