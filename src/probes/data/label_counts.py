"""The number of rows of each label in a text dataset, as values and in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from probes.cards import DatasetCard, TextRows
from probes.data.datasets import locate, read_rows
from probes.errors import ProbesError

MOST_LABELS = 4  # named in a line


def count_labels(card: DatasetCard, data_dir: str | None) -> dict[str, Any] | None:
    """Read a dataset's rows and count them by label.

    Args:
        card: The dataset.
        data_dir: The folder of datasets with a relative location.

    Returns:
        Under ``train`` and ``test`` the number of rows of each label; under
        ``repeated`` the number of test rows that ask what a train row asks, and under
        ``left_out`` the number of rows that were left out for that. None for
        regression tasks, and for rows that are only on the Hub, which are not fetched.

    Raises:
        DataError: The rows are missing or malformed.
    """
    if not isinstance(card.rows, TextRows):
        return None
    if locate(card.name, card.rows, data_dir) is None:
        return None
    rows = read_rows(card, data_dir)
    return {
        **rows.label_counts(),
        "repeated": rows.n_repeated(),
        "left_out": rows.n_left_out,
    }


def counts_by_dataset(
    cards: Iterable[DatasetCard], data_dir: str | None
) -> dict[str, dict[str, Any]]:
    """Count the labels of datasets by name; leave out those that cannot be read."""
    counts = {}
    for card in cards:
        with suppress(ProbesError):  # the dataset's own cells report it
            counts[card.name] = count_labels(card, data_dir)
    return {name: of_labels for name, of_labels in counts.items() if of_labels}


def label_count_lines(name: str, counts: Mapping[str, Any]) -> list[str]:
    """Write counts as one line, with a warning if test rows repeat train rows."""
    splits = [f"{split} {_split_text(counts[split])}" for split in ("train", "test")]
    lines = [f"Rows of {name}: {'; '.join(splits)}"]
    if counts["repeated"]:
        n_test = sum(counts["test"].values())
        lines.append(
            f"Warning: {counts['repeated']} of the {n_test} test rows of {name} are "
            f"also train rows, so queries may have been demonstrated."
        )
    if n_left_out := counts.get("left_out", 0):
        rows = "row is" if n_left_out == 1 else "rows are"
        lines.append(
            f"{n_left_out} other {rows} left out, because an earlier row asks the same."
        )
    return lines


def _split_text(counts: Mapping[str, int]) -> str:
    shown = [f"{label} {n}" for label, n in list(counts.items())[:MOST_LABELS]]
    more = len(counts) - len(shown)
    shown += [f"and {more} other labels"] if more else []
    return f"{sum(counts.values())} ({', '.join(shown)})"
