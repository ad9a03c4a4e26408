"""Cells that are left out because a model's architecture cannot answer them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

UNANSWERABLE = "unanswerable.lines"
"""The file in which a worker tells the process with the terminal."""


def unanswerable_lines(reasons: Iterable[tuple[str, str]]) -> list[str]:
    """Say how many cells are left out, for each model and reason.

    Args:
        reasons: For every cell its model, and why it cannot answer.
    """
    return [
        f"{n} {'cell' if n == 1 else 'cells'} of {model} left out: {reason}."
        for (model, reason), n in Counter(reasons).most_common()
    ]
