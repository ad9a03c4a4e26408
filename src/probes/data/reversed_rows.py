"""Rows that ask in reverse: for the input, given the answer.

After Lampinen et al. 2025, arXiv:2505.00661: who has learned a fact from its direct
form, X is the capital of Y, may be asked for its reversal, the capital of Y is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from probes.data.template import Description, Row
from probes.errors import DataError


def reversed_description(name: str, description: Description) -> Description:
    """Describe the prompts that ask for a row's input.

    Args:
        name: Of the dataset, for messages.
        description: How its rows become prompts.

    Raises:
        DataError: The rows cannot be asked in reverse.
    """
    if not (description.is_open and description.reversed and description.input_column):
        raise DataError(
            f"The rows of {name} cannot be asked in reverse. Expected open answers, a "
            f"query with a single column, and a template that asks for it. Add such a "
            f"line to the TOML, like reversed = "
            f'"Output: {{{description.label_column}}}\\nInput:" under [template].'
        )
    return replace(description, query=description.reversed)


def reversed_rows(rows: Sequence[Row], description: Description) -> tuple[Row, ...]:
    """Make the answer of each row its input, and its input the answer.

    Args:
        rows: The facts that were demonstrated together. If several have an answer in
            common, the inputs of all are right.
        description: How they become prompts in the direct form.
    """
    column = description.input_column
    known: dict[str, list[str]] = {}
    for row in rows:
        known.setdefault(row.label, []).append(row.fields[column].strip())
    return tuple(
        replace(
            row,
            fields={description.label_column: row.label},
            label=row.fields[column].strip(),
            also_right=tuple(
                other
                for other in dict.fromkeys(known[row.label])
                if other != row.fields[column].strip()
            ),
        )
        for row in rows
    )
