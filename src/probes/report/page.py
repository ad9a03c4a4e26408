"""Draw the matrix as one self-contained HTML page.

The template, the style and the scripts are in this folder. The table is plain HTML and
readable without scripts. The page also contains the numbers of each cell as compressed
JSON (``page_data``), which its scripts draw on demand.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from probes.report.answer import QUESTION, answer_of
from probes.report.appendix import (
    REASON_LIMIT,
    WARNING,
    dataset_lines,
    record_lines,
    speed_lines,
)
from probes.report.claim_lines import ClaimLine, fold_variants, lines_by_kind
from probes.report.claim_titles import title_of
from probes.report.effect_chart import drawn_charts
from probes.report.entry_summary import EntrySummary, summarise_entry
from probes.report.headline import CellCounts, count_cells
from probes.report.matrix import (
    LETTERS,
    MEANINGS,
    UNEXPECTED,
    Matrix,
    alarms,
    arrange,
    count_verdicts,
    counts_text,
    plain,
    several,
    tests_passed,
)
from probes.report.measured_quantity import quantity_of_line
from probes.report.page_data import pack
from probes.results.rows import Row

HERE = Path(__file__).parent
SCRIPTS = ("rows.js", "entries.js", "drawing.js", "passes.js", "details.js", "page.js")
COUNTS = ("observations_measured", "observations_stored", "forward_passes", "seconds")
MAIN_PACKAGES = ("python", "torch", "transformers")
CELL = (
    "A cell tests one claim on one network, dataset and number of demonstrations; it "
    "holds if the claim is supported."
)
CAPTION = (
    "Margin: the largest difference that counts as equal. Dot: a claim’s cells of one "
    "verdict, median and interval; hollow: inconclusive. Supported: all of it left of "
    "the line."
)


def matrix_page(rows: Sequence[Row], run: Mapping[str, Any]) -> str:
    """Draw ``index.html``.

    Args:
        rows: Corrected and ordered rows.
        run: The content of ``run.json``.
    """
    matrix = arrange(rows)
    warned, answer = alarms(rows, run), answer_of(matrix)
    return render(
        "page.html",
        scripts=SCRIPTS,
        question=QUESTION,
        cell=CELL,
        headline=plain(" ".join([*warned, answer.lead]), REASON_LIMIT),
        is_alarming=bool(warned),
        answer=answer,
        summary=f"{plain(counts_text(rows))}; {tests_passed(run)}.",
        notes=(notes := [*dataset_lines(run), *record_lines(rows, run)]),
        warnings=[note for note in notes if note.startswith(WARNING)],
        caption=CAPTION,
        **drawn_charts(matrix),
        self_tests={plain(name, 80): ok for name, ok in run["self_tests"].items()},
        letters=LETTERS,
        meanings=MEANINGS,
        unexpected=UNEXPECTED,
        totals=count_verdicts(rows),
        n_identities=sum(
            row["verdict"] == "supported" and bool(row.get("identity")) for row in rows
        ),
        origin=_origin(run),
        facts=_facts(run),
        kinds=_kinds(matrix),
        groups=_groups(matrix),
        n_columns=len(matrix.models) + 1,
        data=compress(pack(rows, matrix, run)),
    )


def render(
    template: str,
    *,
    scripts: Sequence[str],
    styles: Sequence[str] = ("page.css",),
    **values: Any,
) -> str:
    """Fill in a template of this folder.

    Args:
        template: Its file name.
        scripts: The files of the page's script, in order.
        styles: The files of the page's style, in order.
        values: The values that the template shows.
    """
    import markupsafe

    style = "".join(map(_source, styles))
    script = "".join(map(_source, scripts))
    drawn: str = _template(template).render(
        values
        | {
            "policy": markupsafe.Markup(content_policy(style, script)),
            "style": markupsafe.Markup(style),
            "script": markupsafe.Markup(script),
        }
    )
    return drawn


@cache
def _template(name: str) -> Any:
    # Imported here, because every pytest run starts but few draw a page.
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


@cache
def _source(name: str) -> str:
    return (HERE / name).read_text("utf-8")


def content_policy(style: str, script: str) -> str:
    """Allow only the page's own style and script, by their hashes."""
    # Hashes of the files, not of the page, so that no row can add to them.
    allowed = ["default-src 'none'", f"style-src '{_digest(style)}'"]
    allowed += [f"script-src '{_digest(script)}'"] if script else []
    return "; ".join([*allowed, "base-uri 'none'", "form-action 'none'"])


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def compress(data: object) -> str:
    """Write compressed JSON in letters that cannot close the surrounding element.

    Returns:
        Base64 of gzip; the same for the same data.
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _fact(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{plain(k, 80)} {plain(v, 80)}" for k, v in value.items())
    return "unknown" if value is None else plain(value)


def _facts(run: Mapping[str, Any]) -> dict[str, str]:
    facts = dict(run["provenance"]) | {name: run[name] for name in COUNTS}
    speed = dict(line.split(": ", 1) for line in speed_lines(run))
    facts |= {"speed": speed} if speed else {}
    return {plain(k, 80).replace("_", " "): _fact(v) for k, v in facts.items()}


def _origin(run: Mapping[str, Any]) -> str:
    """Describe the run in a few words: commit, versions, device, sizes."""
    found = run["provenance"]
    versions = found["versions"]
    words = [_commit(str(found["commit"] or "unknown"))]
    words += [f"{k} {plain(versions[k], 40)}" for k in MAIN_PACKAGES if k in versions]
    words += [_fact(found["device"]), _fact(found["dtype"])]
    words.append(f"seed {_fact(found['seed'])}")
    words.append(f"{found['n_sets']} demonstration sets × {found['n_queries']} queries")
    return ", ".join(words)


def _commit(text: str) -> str:
    """Shorten a commit; joined runs name several, which the provenance lists."""
    if n_more := text.count(", "):
        return f"{n_more + 1} states of the code"
    commit, plus, changes = _fact(text).partition("+")
    return f"commit {commit[:12]}{plus}{changes}"


def _kinds(matrix: Matrix) -> list[tuple[str, list[tuple[str, CellCounts]]]]:
    """Group the columns by kind of network: each model with its counts of cells."""
    return [
        (
            plain(kind, 40),
            [(plain(m, 80), count_cells(matrix, [m])) for m, _ in own],
        )
        for kind, own in groupby(matrix.models.items(), key=lambda item: item[1])
    ]


def _groups(matrix: Matrix) -> list[dict[str, Any]]:
    """Group the lines of the matrix as the page first shows them."""
    numbers = {line.name: i for i, line in enumerate(fold_variants(matrix))}
    return [
        {
            "title": _title(kind),
            "lines": [_line(matrix, line, numbers[line.name]) for line in lines],
        }
        for kind, lines in lines_by_kind(matrix).items()
    ]


def _title(kind: str) -> str:
    return f"{plain(kind, 40)} networks" if kind else "not judged, or no evidence"


def _line(matrix: Matrix, line: ClaimLine, index: int) -> dict[str, Any]:
    n_variants, first = len(line.claims), matrix.claims[line.claims[0]]
    quantity, target = quantity_of_line(line.cells(matrix, matrix.models))
    return {
        "index": index,
        "name": plain(line.name),
        "title": title_of(first),
        "quantity": quantity,
        "target": target,
        "sentence": plain(first["sentence"]),
        "variants": several(n_variants, "variant") if n_variants > 1 else "",
        "is_identity": bool(first.get("identity")),
        "entries": [_entry(line.cells(matrix, [model])) for model in matrix.models],
    }


def _entry(rows: Sequence[Row]) -> tuple[EntrySummary, str]:
    """Sum up an entry, and name the colour of all of it; empty if verdicts differ."""
    summary = summarise_entry(rows)
    (verdict, _), *others = summary.letters or (("", ""),)
    return summary, "" if others else tone_of(verdict)


def tone_of(verdict: str) -> str:
    """Name the class of a verdict's colour; empty for none."""
    return LETTERS.get(verdict, "").replace("-", "N")
