"""What stands beside the matrix: why cells are undecided, the rows, the record."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from probes.data.label_counts import label_count_lines
from probes.report.matrix import LETTERS, plain, several
from probes.results.rows import Row

MOST_NAMED = 5
PARENTHESIS = re.compile(r" \([^()]*\d[^()]*\)")


def count_reasons(rows: Iterable[Row]) -> Counter[tuple[str, str]]:
    """Count why cells are undecided, by letter and reason.

    What stands in parentheses with a number differs from cell to cell and is left out.
    """
    undecided = [
        row
        for row in rows
        if row["verdict"] in ("inconclusive", "not_applicable") and row["reason"]
    ]
    return Counter(
        (
            LETTERS[row["verdict"]],
            PARENTHESIS.sub("", plain(row["reason"])),
        )
        for row in undecided
    )


def dataset_lines(run: Mapping[str, Any]) -> list[str]:
    """Say how many rows of each label the datasets of a run have."""
    found: Mapping[str, Any] = run.get("datasets", {})
    return [
        plain(line)
        for name, counted in found.items()
        for line in label_count_lines(name, counted)
    ]


def _compared(record: Mapping[str, Any]) -> str:
    """Say with what a run was compared, or why with nothing."""
    file = plain(record["file"])
    if not record["applies"]:
        return f"Nothing was compared: {file} is of another run."
    if not record["compared"] + record["not_run"]:
        return f"Nothing was compared: {file} holds no cell."
    return (
        f"Compared with {file}: {several(record['compared'], 'cell')}; "
        f"{record['new']} not in it; {record['not_run']} in it that did not run."
    )


def record_lines(rows: Sequence[Row], run: Mapping[str, Any]) -> list[str]:
    """Say with what the run was compared, and how the two differ."""
    lines = []
    record = run.get("record")
    if record is not None:
        differs = [f"{k} {a} (here {b})" for k, (a, b) in record["differs"].items()]
        lines.append(_compared(record))
        lines += [f"It was made with {plain(', '.join(differs))}."] if differs else []
        if missing := record.get("missing"):
            named = [plain(cell.replace("|", " · ")) for cell in missing[:MOST_NAMED]]
            rest = len(missing) - len(named)
            more = f" and {rest} more" if rest else ""
            lines.append(f"Missing here: {', '.join(named)}{more}.")
        if record["changes"]:
            told = ", ".join(f"{n} {kind}" for kind, n in record["changes"].items())
            lines += [f"Changes: {told}.", *map(plain, record["changed"])]
    failed = [row for row in rows if row["outcome"] == "failed" and not row["expected"]]
    if failed:
        lines.append(
            f"{several(len(failed), 'refuted cell')} failed for want of a record; "
            f"--update-expected writes one."
        )
    return lines


def speed_lines(run: Mapping[str, Any], *, most: int = 6) -> list[str]:
    """Say how fast a run measured; nothing where it measured nothing that is counted.

    Args:
        run: The run's sum.
        most: Kinds that are named.
    """
    lines = [
        f"{plain(line['work'])} on {plain(line['model'])}: {line['observations']} in "
        f"{line['seconds']:.1f} s, {line['flop_per_s']:.2g} FLOP/s, "
        f"{line['share_of_peak']:.0%} of the matmul peak"
        for line in run.get("speed", [])
    ]
    rest = [f"Other kinds of observation: {len(lines) - most}"]
    return lines[:most] + (rest if lines[most:] else [])
