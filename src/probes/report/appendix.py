"""Lines that go with the matrix: reasons, datasets, the comparison, the speed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from probes.data.label_counts import label_count_lines
from probes.report.matrix import LETTERS, plain, several
from probes.results.rows import Row

MOST_NAMED = 5
REASON_LIMIT = 2000
WARNING = "Warning"
PARENTHESIS = re.compile(r" \([^()]*\d[^()]*\)")


def count_reasons(rows: Iterable[Row]) -> Counter[tuple[str, str]]:
    """Count the reasons for which cells are undecided, by letter and reason.

    Parentheses with a number differ from cell to cell, so they are left out.
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
    """Say how many rows with each label the datasets of a run have."""
    datasets: Mapping[str, Any] = run.get("datasets", {})
    return [
        plain(line)
        for name, counted in datasets.items()
        for line in label_count_lines(name, counted)
    ]


def _compared(record: Mapping[str, Any]) -> str:
    """Say what the run was compared with, or why it was not compared."""
    file = plain(record["file"])
    if not record["applies"]:
        return f"Nothing was compared: {file} was recorded with other settings."
    if not record["compared"] + record["not_run"]:
        return f"Nothing was compared: {file} has no cells."
    return (
        f"Compared with {file}: {several(record['compared'], 'cell')} in both, "
        f"{record['new']} only here, {record['not_run']} only there."
    )


def record_lines(rows: Sequence[Row], run: Mapping[str, Any]) -> list[str]:
    """Say which cells were left out, what the run was compared with, and how."""
    lines = list(map(plain, run.get("left_out", [])))
    record = run.get("record")
    if record is not None:
        differs = [f"{k} {a} (here {b})" for k, (a, b) in record["differs"].items()]
        lines.append(_compared(record))
        lines += [f"That run had {plain(', '.join(differs))}."] if differs else []
        if missing := record.get("missing"):
            named = [plain(cell.replace("|", " · ")) for cell in missing[:MOST_NAMED]]
            rest = len(missing) - len(named)
            more = f" and {rest} more" if rest else ""
            lines.append(f"Missing here: {', '.join(named)}{more}.")
        if record["changes"]:
            counts = ", ".join(f"{n} {kind}" for kind, n in record["changes"].items())
            lines += [f"Changes: {counts}.", *map(plain, record["changed"])]
    failed = [row for row in rows if row["outcome"] == "failed" and not row["expected"]]
    if failed:
        lines.append(
            f"{several(len(failed), 'refuted cell')} failed without a recorded "
            f"verdict; --update-expected records the verdicts of a run."
        )
    return lines


def speed_lines(run: Mapping[str, Any], *, most: int = 6) -> list[str]:
    """Say how fast a run measured; no lines if it measured nothing that is counted.

    Args:
        run: The content of ``run.json``.
        most: How many kinds of observation are listed.
    """
    lines = [
        f"{plain(line['work'])} on {plain(line['model'])}: {line['observations']} in "
        f"{line['seconds']:.1f} s, {line['flop_per_s']:.2g} FLOP/s, "
        f"{line['share_of_peak']:.0%} of the matmul peak"
        for line in run.get("speed", [])
    ]
    rest = [f"Other kinds of observation: {len(lines) - most}"]
    return lines[:most] + (rest if lines[most:] else [])
