"""How many rows of each label a text dataset has, in plain values and in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from probes.cards import DatasetCard, TextRows
from probes.data.datasets import locate, read_rows
from probes.errors import ProbesError

MOST_LABELS = 4


def census(card: DatasetCard, data_dir: str | None) -> dict[str, Any] | None:
    """Read a dataset's rows and count them.

    Returns:
        Under ``train`` and ``test`` the rows of each label, under ``repeated`` the test
        rows that stand in train too; None for regression tasks and for rows that only
        the Hub has, which nothing is fetched for.

    Raises:
        DataError: The rows are not there, or one is not what it should be.
    """
    if not isinstance(card.rows, TextRows):
        return None
    if locate(card.name, card.rows, data_dir) is None:
        return None
    rows = read_rows(card, data_dir)
    return {**rows.label_counts(), "repeated": rows.n_repeated()}


def censuses(
    cards: Iterable[DatasetCard], data_dir: str | None
) -> dict[str, dict[str, Any]]:
    """Count the rows of datasets by name, without those that cannot be read."""
    found = {}
    for card in cards:
        with suppress(ProbesError):  # their own cells say why
            found[card.name] = census(card, data_dir)
    return {name: counted for name, counted in found.items() if counted}


def census_lines(name: str, found: Mapping[str, Any]) -> list[str]:
    """Write a census: one line of counts, and a warning where test repeats train."""
    splits = [f"{split} {_split_text(found[split])}" for split in ("train", "test")]
    lines = [f"Rows of {name}: {'; '.join(splits)}"]
    if found["repeated"]:
        n_test = sum(found["test"].values())
        lines.append(
            f"Warning: {found['repeated']} of the {n_test} test rows of {name} stand "
            f"among its train rows too, so queries may have been demonstrated."
        )
    return lines


def _split_text(counts: Mapping[str, int]) -> str:
    shown = [f"{label} {n}" for label, n in list(counts.items())[:MOST_LABELS]]
    more = len(counts) - len(shown)
    shown += [f"and {more} other labels"] if more else []
    return f"{sum(counts.values())} ({', '.join(shown)})"
