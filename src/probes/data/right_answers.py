"""The right answers of a row: its label, or one or several words on open tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from probes.bounded_io import brief
from probes.data.template import Description, read_description
from probes.errors import DataError

MOST_ANSWERS = 10
"""Right answers of one row. A word with more of them asks for no particular answer."""


def description_beside(place: Path) -> Description:
    """Read the description of a folder or file of rows; the defaults if it fails."""
    try:
        return read_description(place, None)[0]
    except DataError:  # the dataset's own cells report it
        return Description()


def listed_answers(value: Any, description: Description) -> list[Any]:
    """List the answers of a record; only open tasks may have several."""
    return value if description.is_open and isinstance(value, list) else [value]


def require_answers(
    answers: list[str], description: Description, where: str
) -> tuple[str, ...]:
    """Check the answers of a row and return them without repetitions.

    Raises:
        DataError: There are none or too many, or one is empty, has space around it or
            has more than one line.
    """
    what = "answer" if description.is_open else "label"
    if not 1 <= len(answers) <= MOST_ANSWERS:
        raise DataError(
            f"{where} has {len(answers)} right answers. Expected 1 to {MOST_ANSWERS}. "
            f"List fewer, or remove the row."
        )
    for answer in answers:
        if answer != answer.strip() or not answer:
            article = "an" if description.is_open else "a"
            raise DataError(
                f"{where} has the {what} {brief(answer)}. Expected {article} {what} "
                f"without space around it. Mend or remove the row."
            )
        if description.is_open and len(answer.splitlines()) > 1:
            raise DataError(
                f"{where} has the answer {brief(answer)}. Expected a single line, "
                f"because a new line ends the answer. Mend or remove the row."
            )
    return tuple(dict.fromkeys(answers))
