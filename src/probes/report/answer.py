"""Write the answer of a run: a short paragraph, made from its rows.

It says what was found on pretrained networks first, how far off the claims are, and
which comes closest and which is farthest off. The other kinds of network follow in one
sentence.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from probes.report.common_scale import excess_of
from probes.report.headline import ClaimCounts, count_claims, models_by_kind
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
        distance: How far off the cells that do not hold are there; empty without any.
        examples: The closest and the farthest claim there, in words.
        others: What was found on the other kinds; empty without any.
    """

    lead: str
    distance: str = ""
    examples: tuple[str, ...] = ()
    others: str = ""

    @property
    def sentences(self) -> list[str]:
        """All of it, in order."""
        return [
            text
            for text in (self.lead, self.distance, *self.examples, self.others)
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
    lead = _lead(first, kinds[first], count_claims(matrix, kinds[first]))
    judged = [
        row
        for (_, model), rows in matrix.entries.items()
        if model in kinds[first]
        for row in rows
        if not row.get("identity")
    ]
    others = [
        f"{count_claims(matrix, kinds[k])} on {_networks(k, kinds[k])}" for k in rest
    ]
    return Answer(
        lead=lead,
        distance=_distance(placed := _placed(judged)),
        examples=tuple(_examples(placed)),
        others=f"Elsewhere: {'; '.join(others)}." if others else "",
    )


def _networks(kind: str, models: Sequence[str]) -> str:
    return several(len(models), f"{plain(kind, 40)} network")


def _lead(kind: str, models: Sequence[str], counts: ClaimCounts) -> str:
    """Count what holds on one kind of network, and name its models if they are few."""
    named = ", ".join(plain(model, 80) for model in models[:MOST_NAMED])
    named += f" and {len(models) - MOST_NAMED} more" if models[MOST_NAMED:] else ""
    where = f"On {_networks(kind, models)} ({named})"
    if not counts.judged:
        return f"{where}, no claim could be judged."
    decided = counts.held + counts.refuted
    if not decided:
        return f"{where}, none of {counts.judged} judged claims is decided."
    holds = "holds" if counts.held == 1 else "hold"
    said = f"{counts.held} of {decided} decided claims {holds}"
    left = counts.undecided
    is_are = "is" if left == 1 else "are"
    return f"{where}, {said}{f', and {left} {is_are} undecided' if left else ''}."


def _placed(rows: Sequence[Row]) -> list[tuple[float, Row]]:
    """Order undecided and refuted cells by their distance, in margins."""
    placed = [
        (1 + excess.value, row)
        for row in rows
        if row["verdict"] in ("refuted", "inconclusive")
        and (excess := excess_of(row)) is not None
    ]
    return sorted(placed, key=lambda pair: pair[0])


def _distance(placed: Sequence[tuple[float, Row]]) -> str:
    """Say how far off the cells are that do not hold."""
    if not placed:
        return ""
    median = short_number(statistics.median(distance for distance, _ in placed))
    cells = "cell" if len(placed) == 1 else f"{len(placed)} cells"
    return (
        f"Median of the refuted or undecided {cells}: {median} times the difference "
        f"that counts as equal."
    )


def _examples(placed: Sequence[tuple[float, Row]]) -> list[str]:
    """Describe the open or refuted cell that is closest, and the one farthest off."""
    if not placed:
        return []
    closest = placed[0][1]
    said = [f"Closest to holding: {_described(closest)}"]
    refuted = [row for _, row in placed if row["verdict"] == "refuted"]
    if refuted and refuted[-1] is not closest:
        said.append(f"Farthest of those decided: {_described(refuted[-1])}")
    return said


def _described(row: Row) -> str:
    names = [plain(row[key], 80) for key in ("claim", "model", "dataset")]
    verdict = "undecided" if row["verdict"] == "inconclusive" else row["verdict"]
    claim, model, dataset = names
    n = several(row["n_demonstrations"], "demonstration")
    where = f"{claim} on {model} ({dataset}, {n})"
    return f"{where}, {verdict}: {verdict_in_words(row)}"
