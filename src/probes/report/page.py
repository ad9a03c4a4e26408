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

from probes.report.appendix import speed_lines
from probes.report.headline import claims_that_hold, held_of
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
    split_variant,
    tests_passed,
)
from probes.report.page_data import REASON_LIMIT, pack
from probes.results.rows import Row, is_unexpected

HERE = Path(__file__).parent
SCRIPTS = ("rows.js", "drawing.js", "details.js", "page.js")
COUNTS = ("observations_measured", "observations_stored", "forward_passes", "seconds")
MAIN_PACKAGES = ("python", "torch", "transformers")


def matrix_page(rows: Sequence[Row], run: Mapping[str, Any]) -> str:
    """Draw ``index.html``.

    Args:
        rows: Corrected and ordered rows.
        run: The content of ``run.json``.
    """
    matrix = arrange(rows)
    warned = alarms(rows, run)
    first = [*warned, f"{claims_that_hold(matrix)}; {tests_passed(run)}."]
    return render(
        "page.html",
        scripts=SCRIPTS,
        headline=plain(" ".join(first), REASON_LIMIT),
        is_alarming=bool(warned),
        summary=plain(counts_text(rows)),
        self_tests={plain(name, 80): ok for name, ok in run["self_tests"].items()},
        letters=LETTERS,
        meanings=MEANINGS,
        unexpected=UNEXPECTED,
        totals=count_verdicts(rows),
        origin=_origin(run),
        facts=_facts(run),
        kinds=_kinds(matrix),
        groups=_groups(matrix),
        n_columns=len(matrix.models) + 1,
        data=compress(pack(rows, matrix, run)),
    )


def render(template: str, *, scripts: Sequence[str], **values: Any) -> str:
    """Fill in a template of this folder.

    Args:
        template: Its file name.
        scripts: The files of the page's script, in order.
        values: The values that the template shows.
    """
    import markupsafe

    style = _source("page.css")
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
    commit, plus, changes = _fact(found["commit"]).partition("+")
    versions = found["versions"]
    words = [f"commit {commit[:12]}{plus}{changes}"]
    words += [f"{k} {plain(versions[k], 40)}" for k in MAIN_PACKAGES if k in versions]
    words += [_fact(found["device"]), _fact(found["dtype"])]
    words.append(f"seed {_fact(found['seed'])}")
    words.append(f"{found['n_sets']} demonstration sets × {found['n_queries']} queries")
    return ", ".join(words)


def _kinds(matrix: Matrix) -> list[tuple[str, list[tuple[str, int, int]]]]:
    """Group the columns by kind of network: model, claims that hold, claims judged."""
    return [
        (plain(kind, 40), [(plain(m, 80), *held_of(matrix, [m])) for m, _ in models])
        for kind, models in groupby(matrix.models.items(), key=lambda item: item[1])
    ]


def _groups(matrix: Matrix) -> list[dict[str, Any]]:
    """Group the lines of the matrix by claim, one line for each variant."""
    groups = []
    numbered = enumerate(matrix.claims.items())
    for name, found in groupby(numbered, key=lambda item: split_variant(item[1][0])[0]):
        lines = [(index, claim, first) for index, (claim, first) in found]
        _, claim, first = lines[0]
        groups.append(
            {
                "name": plain(name),
                "has_variants": len(lines) > 1 or claim != name,
                "sentence": plain(first["sentence"]),
                "source": plain(first["source"]),
                "lines": [_line(matrix, i, claim) for i, claim, _ in lines],
            }
        )
    return groups


def _line(matrix: Matrix, index: int, claim: str) -> dict[str, Any]:
    entries = [_entry(matrix.entries.get((claim, m), ())) for m in matrix.models]
    variant = plain(split_variant(claim)[1])
    return {"index": index, "variant": variant, "entries": entries}


def _entry(rows: Sequence[Row]) -> dict[str, Any]:
    counts = count_verdicts(rows)
    only = len(counts) == 1
    chips = [(v, LETTERS[v] + ("" if only else str(n))) for v, n in counts.items()]
    return {"chips": chips, "is_unexpected": any(map(is_unexpected, rows))}
