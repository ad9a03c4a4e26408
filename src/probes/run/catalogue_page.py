"""Write the catalogue page: what every claim says, and what a run found.

Everything comes from the claims and from the rows of a run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from probes.claims import ClaimCard
from probes.report.headline import JUDGED
from probes.report.markdown import escape
from probes.report.matrix import (
    count_verdicts,
    plain,
    split_variant,
)
from probes.report.number_text import effect_text, number
from probes.results.rows import Row

HEADER = ("variant", "model", "kind", "cells", "effect where it was judged")
LEAD = (
    "# The catalogue of claims",
    "",
    "Each claim is a test. `probes catalogue` writes this page from the claims and "
    "from the rows of a run. Edit the claims, not this page.",
    "",
    "Each row of a table sums up the cells of one model, over datasets and numbers of "
    "demonstrations. If there are several cells, it shows the smallest and the largest "
    "effect. The run's matrix shows all of them, with intervals.",
)


def catalogue_page(cards: Iterable[ClaimCard], rows: Sequence[Row]) -> str:
    """Draw one section for each claim.

    Args:
        cards: The claims, in the page's order.
        rows: The rows of a run. The page says so if a claim has none.
    """
    by_claim: dict[str, list[Row]] = {}
    for row in rows:
        by_claim.setdefault(split_variant(row["claim"])[0], []).append(row)
    lines = [*LEAD]
    for card in cards:
        lines += ["", *_declared(card), "", *_results(by_claim.get(card.name, []))]
    return "\n".join(lines) + "\n"


def _declared(card: ClaimCard) -> list[str]:
    """List what a claim declares."""
    mark = " (an identity: evidence of nothing)" if card.identity else ""
    fields = {
        "Source": card.source,
        "Measured": card.measured,
        "Refuted if": card.refuted_if,
        "Why this margin": card.margin,
        "Controls": card.controls,
        "Reported": card.reported,
        "Variants": ", ".join(card.variants),
        "With --grid full also": ", ".join(card.full_variants),
    }
    lines = [f"## {escape(card.name)}{mark}", "", f"**{escape(card.sentence)}**", ""]
    lines += [f"{escape(card.title)}.", ""] if card.title else []
    return lines + [
        f"- {n}: {escape(text, 1000)}" for n, text in fields.items() if text
    ]


def _results(rows: Sequence[Row]) -> list[str]:
    """List the verdicts of a claim's cells, one line for each variant and model."""
    if not rows:
        return ["Found: not run."]
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        key = (split_variant(row["claim"])[1], row["model"], row.get("kind", "–"))
        groups.setdefault(key, []).append(row)
    lines = [" | ".join(HEADER), " | ".join("---" for _ in HEADER)]
    for (variant, model, kind), cells in groups.items():
        texts = (variant or "–", model, kind, _verdicts(cells), _effects(cells))
        lines.append(" | ".join(map(escape, texts)))
    return [f"| {line} |" for line in lines]


def _verdicts(cells: Sequence[Row]) -> str:
    counts = count_verdicts(cells).items()
    return ", ".join(f"{n} {verdict.replace('_', ' ')}" for verdict, n in counts)


def _effects(cells: Sequence[Row]) -> str:
    """Give the effect of one judged cell, or the range over several."""
    judged = [
        row["effects"][0]
        for row in cells
        if row["verdict"] in JUDGED
        and row["effects"]
        and row["effects"][0]["value"] is not None
    ]
    if not judged:
        return "–"
    # Ridge may be the nearest rival in one cell and OLS in another: name the commonest.
    names = Counter(effect["name"] for effect in judged)
    name = names.most_common(1)[0][0]
    alike = sorted(
        (effect for effect in judged if effect["name"] == name),
        key=lambda effect: float(effect["value"]),
    )
    others = len(judged) - len(alike)
    more = f"; {others} measured otherwise" if others else ""
    if len(alike) == 1:
        return effect_text(alike[0]) + more
    low, high = (number(end["value"]) for end in (alike[0], alike[-1]))
    named, unit = plain(name), plain(alike[0]["unit"], 40)
    return f"{named} {low} to {high} {unit}{more}"
