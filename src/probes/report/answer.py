"""Write the answer of a run: a short paragraph, made from its rows.

It says what was found on pretrained networks first, how far off the claims are, and
which comes closest and which is farthest off. The other kinds of network follow in one
sentence.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from probes.report.advice import LACKING, need_of
from probes.report.claim_titles import full_title_of
from probes.report.common_scale import excess_of
from probes.report.headline import CellCounts, count_cells, models_by_kind
from probes.report.matrix import Matrix, plain, several
from probes.report.number_text import short_number
from probes.report.verdict_words import verdict_in_words
from probes.results.rows import Row

MOST_NAMED = 4
QUESTION = "Is in-context learning (ICL) gradient descent (GD)?"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer of a run.

    Attributes:
        lead: What was found on the first kind of network.
        refuted: How far off its refuted cells are, and how sure that is; empty without
            any.
        inconclusive: Why cells are inconclusive there; empty without any.
        examples: The closest and the farthest claim there, in words.
        others: What was found on the other kinds; empty without any.
    """

    lead: str
    refuted: str = ""
    inconclusive: str = ""
    examples: tuple[str, ...] = ()
    others: str = ""

    @property
    def details(self) -> list[str]:
        """How far off the first kind's cells are, and why some are inconclusive."""
        return [text for text in (self.refuted, self.inconclusive) if text]

    @property
    def sentences(self) -> list[str]:
        """All of it, in order."""
        return [
            text
            for text in (self.lead, *self.details, *self.examples, self.others)
            if text
        ]


def answer_of(matrix: Matrix) -> Answer:
    """Write the answer of a run from its rows, arranged.

    Args:
        matrix: The rows; pretrained models come first if there are any.
    """
    kinds = models_by_kind(matrix)
    if not kinds:
        return Answer(lead="Nothing was judged.")
    first, *rest = kinds
    lead = _lead(first, kinds[first], count_cells(matrix, kinds[first]))
    judged = [
        row
        for (_, model), rows in matrix.entries.items()
        if model in kinds[first]
        for row in rows
        if not row.get("identity")
    ]
    others = [
        f"{count_cells(matrix, kinds[k])} on {_networks(k, kinds[k])}" for k in rest
    ]
    return Answer(
        lead=lead,
        refuted=_refuted([row for row in judged if row["verdict"] == "refuted"]),
        inconclusive=_inconclusive(
            [row for row in judged if row["verdict"] == "inconclusive"]
        ),
        examples=tuple(_examples(_placed(judged))),
        others=f"Elsewhere: {'; '.join(others)}." if others else "",
    )


def _networks(kind: str, models: Sequence[str]) -> str:
    return several(len(models), f"{plain(kind, 40)} network")


def _lead(kind: str, models: Sequence[str], counts: CellCounts) -> str:
    """Count the verdicts on one kind of network, and name its models if few."""
    named = ", ".join(plain(model, 80) for model in models[:MOST_NAMED])
    named += f" and {len(models) - MOST_NAMED} more" if models[MOST_NAMED:] else ""
    return f"On {_networks(kind, models)} ({named}): {counts.as_answer}."


def _placed(rows: Sequence[Row]) -> list[tuple[float, Row]]:
    """Order inconclusive and refuted cells by their distance, in margins."""
    placed = [
        (1 + excess.value, row)
        for row in rows
        if row["verdict"] in ("refuted", "inconclusive")
        and (excess := excess_of(row)) is not None
    ]
    return sorted(placed, key=lambda pair: pair[0])


def _refuted(rows: Sequence[Row]) -> str:
    """Say how far off refuted cells are, and how sure that is."""
    if not rows:
        return ""
    said = f"Refuted: {several(len(rows), 'cell')}"
    if off := _margins(rows):
        said += f", off by {off} margins (median; one margin counts as equal)"
    p_values = [row["effects"][0]["p_adjusted"] for row in rows if row["effects"]]
    if known := [p for p in p_values if p is not None]:
        each = "each " if len(known) > 1 else ""
        said += f", {each}with p ≤ {short_number(max(known))} after correction"
    return f"{said}."


def _inconclusive(rows: Sequence[Row]) -> str:
    """Say how far off inconclusive cells seem, and what most of them lack first."""
    if not rows:
        return ""
    said = f"Inconclusive: {several(len(rows), 'cell')}"
    if off := _margins(rows):
        said += f", off by {off} margins (median)"
    counted = Counter(LACKING[need_of(row)] for row in rows).most_common()
    return f"{said}: {', '.join(f'{lack} ({n})' for lack, n in counted)}."


def _margins(rows: Sequence[Row]) -> str:
    """Give the median distance of cells in margins; empty without any."""
    distances = [distance for distance, _ in _placed(rows)]
    return short_number(statistics.median(distances)) if distances else ""


def _examples(placed: Sequence[tuple[float, Row]]) -> list[str]:
    """Describe the open or refuted cell that is closest, and the one farthest off."""
    if not placed:
        return []
    closest = placed[0][1]
    said = [f"Closest: {_described(closest)}"]
    refuted = [row for _, row in placed if row["verdict"] == "refuted"]
    if refuted and refuted[-1] is not closest:
        said.append(f"Farthest: {_described(refuted[-1])}")
    return said


def _described(row: Row) -> str:
    model, dataset = (plain(row[k], 80) for k in ("model", "dataset"))
    n = several(row["n_demonstrations"], "demonstration")
    where = f"“{full_title_of(row)}” on {model} ({dataset}, {n})"
    return f"{where}, {_verdict(row)}: {verdict_in_words(row)}"


def _verdict(row: Row) -> str:
    """Name the verdict of a cell, and why it is inconclusive."""
    if row["verdict"] != "inconclusive":
        return str(row["verdict"])
    if row["alone"] != "inconclusive":
        return f"{row['alone']} by itself, inconclusive after correction for all cells"
    return f"inconclusive ({LACKING[need_of(row)]})"
