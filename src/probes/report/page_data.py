"""Pack rows into compact JSON for the page.

Texts, provenances and examples that many rows share are written once. Numbers keep four
digits. The page's script ``rows.js`` unpacks them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from probes.report.advice import advice_for
from probes.report.appendix import REASON_LIMIT
from probes.report.claim_lines import fold_variants
from probes.report.claim_titles import in_words, title_of
from probes.report.common_scale import scale_of
from probes.report.deciding_interval import refuting_interval
from probes.report.headline import papers_of
from probes.report.matrix import (
    ID_LIMIT,
    LETTERS,
    Matrix,
    plain,
    split_variant,
)
from probes.report.measure_ranges import interval_of
from probes.report.measured_quantity import SAID, STATED, target_of
from probes.report.pass_curves import pass_curves, pass_curves_in_words
from probes.report.rerun import rerun_command
from probes.report.verdict_words import BARE_UNITS, SCALES, verdict_in_words
from probes.results.row_shape import VERDICTS
from probes.results.rows import Row, is_unexpected

PROMPT_LIMIT = 600
# Fields that are often null come last, because nulls at the end are left out.
_NUMBERS = ("value", "n_sets", "n_queries", "low", "high", "level")
_BOUNDS = ("margin", "floor", "ceiling", "p", "p_adjusted")
EFFECT_FIELDS = ("name", "unit", *_NUMBERS, *_BOUNDS, "sets")


class SharedValues:
    """Values that many rows share, each written once and named by its index."""

    def __init__(self) -> None:
        self.found: dict[str, int] = {}

    def index(self, value: object) -> int:
        """Return the index of a value of plain JSON types."""
        return self.found.setdefault(json.dumps(value), len(self.found))

    @property
    def values(self) -> list[Any]:
        """The values in the order of their indices."""
        return [json.loads(text) for text in self.found]


class SharedTexts(SharedValues):
    """Texts that many rows share, safe to draw."""

    def of(self, value: object, limit: int = REASON_LIMIT) -> int | None:
        """Return the index of a text; None if it is empty."""
        text = plain(value, limit, lines=True)
        return self.index(text) if text else None


def pack(rows: Sequence[Row], matrix: Matrix, run: Mapping[str, Any]) -> dict[str, Any]:
    """Pack rows, claims and models.

    Args:
        rows: Corrected and ordered rows.
        matrix: The rows, arranged.
        run: The content of ``run.json``.
    """
    strings, provenances, examples = SharedTexts(), SharedValues(), SharedValues()
    searches = SharedValues()
    provenances.index(_safe(run["provenance"]))
    lines = {c: i for i, line in enumerate(fold_variants(matrix)) for c in line.claims}
    claims = {name: i for i, name in enumerate(matrix.claims)}
    models = {name: i for i, name in enumerate(matrix.models)}
    packed = []
    for row in rows:
        where = {"claim": claims[row["claim"]], "model": models[row["model"]]}
        made = provenances.index(_safe(row["provenance"])) or None
        shown = row.get("example")
        shared = {
            "provenance": made,
            "example": examples.index(_example(shown)) if shown else None,
            "searches": [searches.index(_search(one)) for one in _searches(row)]
            or None,
        }
        packed.append(where | _values(row, strings) | shared)
    return {
        "verdicts": list(VERDICTS),
        "letters": [LETTERS[name] for name in VERDICTS],
        "claims": [
            [*_claim(name, first), lines[name]] for name, first in matrix.claims.items()
        ],
        "models": [[plain(name), plain(kind)] for name, kind in matrix.models.items()],
        "row_fields": [*packed[0]] if packed else [],
        "effect_fields": EFFECT_FIELDS,
        "bare_units": BARE_UNITS,
        "scales": SCALES,
        "share": {"stated": STATED, "said": SAID},
        "rows": [_trim([*values.values()]) for values in packed],
        "strings": strings.values,
        "provenances": provenances.values,
        "examples": examples.values,
        "searches": searches.values,
    }


def _claim(claim: str, first: Row) -> list[Any]:
    name, variant = map(plain, split_variant(claim))
    sentence, source = plain(first["sentence"]), plain(first["source"])
    why = plain(first.get("margin_reason"))
    said = [in_words(variant), sentence, why, source, papers_of(source)]
    # The title that the row states, if any, and the one that is shown.
    return [
        plain(claim),
        name,
        variant,
        plain(first.get("title")),
        title_of(first),
        *said,
    ]


def _values(row: Row, strings: SharedTexts) -> dict[str, Any]:
    """Shorten a row to what the page shows: indices of texts, rounded numbers."""
    differs = row["alone"] != row["verdict"]
    place, bracket, cell = plain(row["test"], ID_LIMIT).partition("[")
    usual = f'pytest "{place}{bracket}{cell}"'
    command = rerun_command(row)
    return {
        "dataset": strings.of(row["dataset"], 300),
        "n_demonstrations": row["n_demonstrations"],
        "verdict": VERDICTS.index(row["verdict"]),
        "effects": [_effect(effect, strings) for effect in row["effects"]],
        "test": [strings.of(place, ID_LIMIT), bracket + cell],
        "observations": [strings.of(key) for key in row["observations"]],
        "seconds": _round(row["seconds"]),
        "outcome": strings.of(row["outcome"]),
        "file": strings.of(row["file"]),
        "scale": strings.of(scale_of(row)),
        "p_supported": _round(row["p_supported"]),
        "p_refuted": _round(row["p_refuted"]),
        "reason": strings.of(row["reason"]),
        "note": strings.of(row["note"]),
        "moved": strings.of("; ".join(_moved(row))),
        "alone": VERDICTS.index(row["alone"]) if differs else None,
        "expected": VERDICTS.index(row["expected"]) if row["expected"] else None,
        "unexpected": 1 if is_unexpected(row) else None,
        "identity": 1 if row.get("identity") else None,
        "words": strings.of(verdict_in_words(row)),
        "target": strings.of(target_of(row)),
        "advice": strings.of(advice_for(row)),
        "refuting": _refuting(row),
        "over_passes": _over_passes(row, strings),
        "command": None if command == usual else strings.of(command, ID_LIMIT + 100),
    }


def _refuting(row: Row) -> list[float | None] | None:
    found = refuting_interval(row)
    if found is None:
        return None
    return [_round(x) for x in (found.low, found.high, found.level)]


def _over_passes(row: Row, strings: SharedTexts) -> list[Any] | None:
    """Pack the curves over passes: their words, then each name with its points."""
    curves = pass_curves(row)
    if not curves:
        return None
    lines = [[strings.of(one.name), [*map(list, one.points)]] for one in curves]
    return [strings.of(pass_curves_in_words(row)), lines]


def _effect(effect: Mapping[str, Any], strings: SharedTexts) -> list[Any]:
    low, high = interval_of(effect)
    numbers = {**effect, "low": low, "high": high}
    values: dict[str, Any] = {k: _round(numbers[k]) for k in (*_NUMBERS, *_BOUNDS)}
    values |= {key: strings.of(effect[key], 300) for key in ("name", "unit")}
    values["sets"] = [_round(x) for x in effect.get("sets") or ()] or None
    return _trim([values[key] for key in EFFECT_FIELDS])


def _example(queries: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Make an example safe to draw: a prompt's end, the answer, two lists of tokens."""
    return [
        [
            _end(query["prompt"], PROMPT_LIMIT),
            plain(query["answer"], 80),
            *([[plain(t, 80), _round(p)] for t, p in query[k]] for k in ("icl", "gd")),
        ]
        for query in queries
    ]


def _searches(row: Row) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (row.get("details") or {}).get("searches") or []
    return found


def _moved(row: Row) -> list[str]:
    """Name the weights that GD moved; the details of a read row may be anything."""
    found = (row.get("details") or {}).get("moved")
    return list(map(str, found)) if isinstance(found, list) else []


def _search(search: Mapping[str, Any]) -> list[Any]:
    """Make a search safe to draw: what was chosen, and the criterion's curves."""
    curves = [
        [_round(rate), [[n, _round(value)] for n, value in curve]]
        for rate, curve in search["curves"]
    ]
    chosen = [search["rate"], search["passes"], search["value"], search["gain"]]
    words = [plain(search["criterion"], 80), plain(search["edge"], 300)]
    return [*words, *map(_round, chosen), curves]


def _end(prompt: str, limit: int) -> str:
    cut = prompt if len(prompt) <= limit else "…" + prompt[1 - limit :]
    return plain(cut, limit, lines=True)


def _safe(value: object) -> Any:
    """Make a provenance safe to draw: its texts, and its numbers finite."""
    if isinstance(value, Mapping):
        return {plain(k, 80): _safe(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_safe(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, int | float) else plain(value)


def _trim(values: list[Any]) -> list[Any]:
    """Drop nulls at the end; the page reads missing values as null."""
    while values and values[-1] is None:
        values.pop()
    return values


def _round(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return value if isinstance(value, int) else float(f"{value:.4g}")
