"""Lines that go with the matrix: reasons, datasets, the comparison, the speed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from probes.data.label_counts import label_count_lines
from probes.report.matrix import LETTERS, plain, several
from probes.report.number_text import short_number
from probes.results.rows import Row

MOST_NAMED = 5
REASON_LIMIT = 2000
WARNING = "Warning"
PARENTHESIS = re.compile(r" \([^()]*\d[^()]*\)")


def reason_lines(rows: Iterable[Row]) -> list[str]:
    """Say why cells are inconclusive, and how often; the most frequent reasons first.

    Parentheses with a number differ from cell to cell, so they are left out. What a
    cell lacked, such as a gain of ICL, is given with its median and range.
    """
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["verdict"] in ("inconclusive", "not_applicable") and row["reason"]:
            reason = PARENTHESIS.sub("", plain(row["reason"], REASON_LIMIT))
            found.setdefault((LETTERS[row["verdict"]], reason), []).append(row)
    ordered = sorted(found.items(), key=lambda item: -len(item[1]))
    return [
        f"{letter} {len(own)} × {reason}{_measured(own)}"
        for (letter, reason), own in ordered
    ]


def _measured(rows: Sequence[Row]) -> str:
    """Give the numbers behind a reason; empty if the cells have no common measure."""
    effects = [row["effects"][0] for row in rows if row["effects"]]
    lacking = [e for e in effects if e["margin"] is None and e["value"] is not None]
    if len(lacking) < len(rows) or len({e["name"] for e in lacking}) != 1:
        return ""
    values = [e["value"] for e in lacking]
    middle, least, most = map(short_number, (median(values), min(values), max(values)))
    spread = f", {least} to {most}" if least != most else ""
    return f" ({plain(lacking[0]['name'])} {middle}{spread})"


def dataset_lines(run: Mapping[str, Any]) -> list[str]:
    """Say how many rows with each label the datasets of a run have."""
    datasets: Mapping[str, Any] = run.get("datasets", {})
    return [
        plain(line)
        for name, counted in datasets.items()
        for line in label_count_lines(name, counted)
    ]


def setup_lines(run: Mapping[str, Any]) -> list[str]:
    """Say which published set-up a run had and what was changed; no line without one.

    Args:
        run: The content of ``run.json``.
    """
    facts: Mapping[str, str] = run.get("provenance", {}).get("setup") or {}
    if not facts:
        return []
    changed = ("changed ", "left out ")
    changes = [f"{k} {v}" for k, v in facts.items() if k.startswith(changed)]
    said = "; ".join(changes) or "nothing was changed"
    return [plain(f"Set-up {facts['name']} ({facts.get('study', '')}): {said}.", 2000)]


def _compared(record: Mapping[str, Any]) -> str:
    """Say what the run was compared with, or why it was not compared."""
    file = plain(record["file"])
    if not record["applies"]:
        return f"Nothing was compared: {file} was recorded with other settings."
    if not record["compared"] + record["not_run"]:
        return f"Nothing was compared: {file} has no cells."
    changes = {kind for kind, n in record["changes"].items() if n}
    return (
        f"Compared with {file}: {several(record['compared'], 'cell')} in both, "
        f"{record['new']} only here, {record['not_run']} only there."
        f"{' No cell changed.' if changes == {'same'} else ''}"
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
            changes = {kind: n for kind, n in record["changes"].items() if n}
            counts = ", ".join(f"{n} {kind}" for kind, n in changes.items())
            lines += [f"Changes: {counts}."] if changes.keys() - {"same"} else []
            lines += map(plain, record["changed"])
    failed = [row for row in rows if row["outcome"] == "failed" and not row["expected"]]
    if failed:
        withdrawn = sum(row["verdict"] != "refuted" for row in failed)
        when = f", {withdrawn} of them only before the correction" if withdrawn else ""
        lines.append(
            f"{several(len(failed), 'refuted cell')} failed without a recorded "
            f"verdict{when}; --update-expected records the verdicts of a run."
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
