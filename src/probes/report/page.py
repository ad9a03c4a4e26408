"""Draw the matrix as one self-contained HTML page.

The template stands beside this file. The table is plain HTML and readable without
scripts; the numbers of each cell travel as JSON, drawn by the page's script on demand.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from probes.report.matrix import (
    ID_LIMIT,
    LETTERS,
    MEANINGS,
    UNEXPECTED,
    Matrix,
    alarms,
    arrange,
    count_verdicts,
    headline,
    plain,
    rerun_command,
)
from probes.results import VERDICTS, Row, is_unexpected

TEMPLATE = Path(__file__).with_name("page.html")
REASON_LIMIT = 2000
COUNTS = ("observations_measured", "observations_stored", "forward_passes", "seconds")
# What is often null stands last, here and in rows: nulls at the end are left out.
_NUMBERS = ("value", "n_sets", "n_queries", "low", "high", "level")
_BOUNDS = ("margin", "floor", "ceiling", "p", "p_adjusted")
EFFECT_FIELDS = ("name", "unit", *_NUMBERS, *_BOUNDS)


def page(rows: Sequence[Row], run: Mapping[str, Any]) -> str:
    """Draw the page.

    Args:
        rows: Corrected and ordered.
        run: What ``run.json`` holds.
    """
    # Start-up matters to every pytest run; only the end of one draws a page.
    import jinja2
    import markupsafe

    source = TEMPLATE.read_text("utf-8")
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    matrix = arrange(rows)
    return environment.from_string(source).render(
        policy=markupsafe.Markup(content_policy(source)),
        headline=plain(headline(rows, run), REASON_LIMIT),
        is_alarming=bool(alarms(rows, run)),
        self_tests={plain(name, 80): ok for name, ok in run["self_tests"].items()},
        letters=LETTERS,
        meanings=MEANINGS,
        unexpected=UNEXPECTED,
        totals=count_verdicts(rows),
        origin=_origin(run),
        facts=_facts(run),
        models=[(plain(m, 80), plain(kind, 40)) for m, kind in matrix.models.items()],
        claims=_claims(matrix),
        data=markupsafe.Markup(as_script_data(_data(rows, matrix, run))),
    )


def content_policy(source: str) -> str:
    """Allow the template's own style and script by their hashes, and nothing else."""
    allowed = {}
    for kind in ("style", "script"):
        # The template's text, not the page's: no row can add to what is allowed.
        text = re.findall(rf"<{kind}>(.*?)</{kind}>", source, flags=re.DOTALL)
        assert len(text) == 1, f"page.html must have one inline {kind}"
        digest = hashlib.sha256(text[0].encode()).digest()
        allowed[kind] = f"{kind}-src 'sha256-{base64.b64encode(digest).decode()}'"
    rest = ("base-uri 'none'", "form-action 'none'")
    return "; ".join(["default-src 'none'", *allowed.values(), *rest])


def as_script_data(data: object) -> str:
    """Write JSON that cannot end the script element that holds it."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def scale_of(row: Row) -> str:
    """Say on which scale the main effect is drawn.

    Returns:
        ``share``: of the way from floor to ceiling, supported above 1 − margin;
        ``raw``: floor and ceiling in the measure's own unit; ``below``: supported below
        the margin; ``within``: supported within ±margin; ``value``: no bounds.
    """
    if not row["effects"]:
        return "value"
    effect = row["effects"][0]
    if effect["floor"] is not None and effect["ceiling"] is not None:
        # No interval: no share was formed, as the ceiling is not above the floor.
        return "raw" if effect["level"] is None else "share"
    if effect["margin"] is None:
        return "value"
    if effect["level"] is None:
        return "below"
    inside, outside = row["p_supported"], row["p_refuted"]
    # A row does not name its sides, but only one-sided tests are complementary.
    complementary = None not in (inside, outside) and abs(inside + outside - 1) < 1e-9
    is_far_below = row["alone"] == "refuted" and (effect["value"] or 0) < 0
    return "below" if complementary and not is_far_below else "within"


class _Strings:
    """Texts that many rows share, each kept once."""

    def __init__(self) -> None:
        self.found: dict[str, int] = {}

    def index(self, value: object, limit: int = REASON_LIMIT) -> int | None:
        text = plain(value, limit, lines=True)
        return self.found.setdefault(text, len(self.found)) if text else None


def _data(
    rows: Sequence[Row], matrix: Matrix, run: Mapping[str, Any]
) -> dict[str, Any]:
    strings = _Strings()
    claims = {name: i for i, name in enumerate(matrix.claims)}
    models = {name: i for i, name in enumerate(matrix.models)}
    packed = []
    for row in rows:
        where = {"claim": claims[row["claim"]], "model": models[row["model"]]}
        packed.append(where | _values(row, run, strings))
    return {
        "verdicts": list(VERDICTS),
        "letters": [LETTERS[name] for name in VERDICTS],
        "claims": [
            [plain(name), plain(first["sentence"]), plain(first["source"])]
            for name, first in matrix.claims.items()
        ],
        "models": [plain(name) for name in models],
        "row_fields": [*packed[0]] if packed else [],
        "effect_fields": EFFECT_FIELDS,
        "rows": [_trim([*values.values()]) for values in packed],
        "strings": list(strings.found),
    }


def _values(row: Row, run: Mapping[str, Any], strings: _Strings) -> dict[str, Any]:
    """Shorten a row to what the page shows: indices of texts, rounded numbers."""
    differs = row["alone"] != row["verdict"]
    command, bracket, rest = rerun_command(row).partition("[")
    return {
        "dataset": strings.index(row["dataset"]),
        "n_demonstrations": row["n_demonstrations"],
        "verdict": VERDICTS.index(row["verdict"]),
        "effects": [_effect(effect, strings) for effect in row["effects"]],
        "command": [strings.index(command, ID_LIMIT), bracket + rest],
        "observations": [strings.index(key) for key in row["observations"]],
        "seconds": _round(row["seconds"]),
        "scale": strings.index(scale_of(row)),
        "alone": VERDICTS.index(row["alone"]) if differs else None,
        "expected": VERDICTS.index(row["expected"]) if row["expected"] else None,
        "unexpected": 1 if is_unexpected(row) else None,
        "p_supported": _round(row["p_supported"]),
        "p_refuted": _round(row["p_refuted"]),
        "reason": strings.index(row["reason"]),
        "note": strings.index(row["note"]),
        "provenance": strings.index(_differences(row["provenance"], run["provenance"])),
    }


def _effect(effect: Mapping[str, Any], strings: _Strings) -> list[Any]:
    values = {key: _round(effect[key]) for key in EFFECT_FIELDS[2:]}
    values |= {key: strings.index(effect[key], 300) for key in ("name", "unit")}
    return _trim([values[key] for key in EFFECT_FIELDS])


def _trim(values: list[Any]) -> list[Any]:
    """Drop what is null at the end; the page reads it as null."""
    while values and values[-1] is None:
        values.pop()
    return values


def _round(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return value if isinstance(value, int) else float(f"{value:.4g}")


def _differences(ours: Mapping[str, Any], runs: Mapping[str, Any]) -> str:
    """Name what a row's provenance has otherwise than the run's."""
    return ", ".join(f"{k} {_fact(v)}" for k, v in ours.items() if runs.get(k) != v)


def _fact(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{plain(k, 80)} {plain(v, 80)}" for k, v in value.items())
    return "unknown" if value is None else plain(value)


def _facts(run: Mapping[str, Any]) -> dict[str, str]:
    facts = dict(run["provenance"]) | {name: run[name] for name in COUNTS}
    return {plain(k, 80).replace("_", " "): _fact(v) for k, v in facts.items()}


def _origin(run: Mapping[str, Any]) -> str:
    """Name the run in a few words."""
    found = run["provenance"]
    commit, plus, changes = _fact(found["commit"]).partition("+")
    words = [f"commit {commit[:12]}{plus}{changes}", _fact(found["device"])]
    words += [_fact(found["dtype"]), f"seed {_fact(found['seed'])}"]
    words.append(f"{found['n_sets']} demonstration sets × {found['n_queries']} queries")
    return ", ".join(words)


def _claims(matrix: Matrix) -> list[dict[str, Any]]:
    models = matrix.models
    return [
        {
            "name": plain(claim),
            "sentence": plain(first["sentence"]),
            "source": plain(first["source"]),
            "entries": [_entry(matrix.entries.get((claim, m), ())) for m in models],
        }
        for claim, first in matrix.claims.items()
    ]


def _entry(rows: Sequence[Row]) -> dict[str, Any]:
    counts = count_verdicts(rows)
    return {
        "counts": counts,
        "words": ", ".join(f"{n} {v}" for v, n in counts.items()).replace("_", " "),
        "is_unexpected": any(map(is_unexpected, rows)),
    }
