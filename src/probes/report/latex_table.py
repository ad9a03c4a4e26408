"""Write the matrix as LaTeX tables, in the style of booktabs: one a kind of network.

A table has a line for each claim that has a cell there and a column for each model. An
entry has the verdict's letter, the effect or the median of several, and their range.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from probes.report.claim_lines import ClaimLine, fold_variants
from probes.report.common_scale import scale_of
from probes.report.entry_summary import NOTHING, summarise_entry
from probes.report.headline import JUDGED, models_by_kind
from probes.report.interval_axis import zone_of
from probes.report.matrix import IDENTITY, LETTERS, Matrix, plain
from probes.report.number_text import short_number
from probes.results.rows import Row

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{letter: f"\\{letter}" for letter in "&%$#_"},
    "−": "$-$",
    "–": "--",
    "±": r"$\pm$",
    "≡": r"$\equiv$",
    "²": r"\textsuperscript{2}",
    "Δ": r"$\Delta$",
    "τ": r"$\tau$",
    "…": r"\dots{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
"""Letters that LaTeX reads as commands, or that its fonts may lack."""
MOST_BOUNDS = 2
"""Different regions of support that a line names; more are left to the rows."""


def latex_tables(matrix: Matrix) -> dict[str, str]:
    """Write a table for each kind of network.

    Returns:
        The content of each file by its name, such as ``verdicts_pretrained.tex``.
    """
    tables: dict[str, str] = {}
    for kind, models in models_by_kind(matrix).items():
        slug = re.sub(r"[^a-z0-9]+", "_", plain(kind, 40).lower()).strip("_")
        name = f"verdicts_{slug or 'other'}.tex"
        # Kinds of other versions may differ in nothing that a file name may hold.
        if name in tables:
            name = f"verdicts_{slug or 'other'}_{len(tables)}.tex"
        tables[name] = _table(matrix, kind, models)
    return tables


def escaped(text: str) -> str:
    """Write a text so that LaTeX prints it and runs none of it."""
    return "".join(SPECIAL.get(letter, letter) for letter in text)


def _table(matrix: Matrix, kind: str, models: Sequence[str]) -> str:
    lines = [line for line in fold_variants(matrix) if line.cells(matrix, models)]
    head = ["claim", "supported if", *(plain(model, 80) for model in models)]
    letters = ", ".join(f"{x} {v.replace('_', ' ')}" for v, x in LETTERS.items())
    about = (
        f"% Claims on {plain(kind, 40)} networks. \\usepackage{{booktabs}}.",
        f"% {letters}.",
        "% Several letters count cells. The number is the effect or the median, with",
        "% the range of several cells. The bound is in the effect's unit.",
    )
    body = [_line(matrix, line, models) for line in lines]
    return "\n".join(
        [
            *about,
            f"\\begin{{tabular}}{{@{{}}ll{'l' * len(models)}@{{}}}}",
            "\\toprule",
            f"{' & '.join(map(escaped, head))} \\\\",
            "\\midrule",
            *body,
            "\\bottomrule",
            "\\end{tabular}",
            "",
        ]
    )


def _line(matrix: Matrix, line: ClaimLine, models: Sequence[str]) -> str:
    is_identity = matrix.claims[line.claims[0]].get("identity")
    name = escaped(f"{IDENTITY} " if is_identity else "")
    name += f"\\texttt{{{escaped(plain(line.name, 80))}}}"
    entries = [_entry(line.cells(matrix, [model])) for model in models]
    bound = escaped(_bound(line.cells(matrix, models)))
    return f"{' & '.join([name, bound, *entries])} \\\\"


def _entry(rows: Sequence[Row]) -> str:
    summary = summarise_entry(rows, spread_digits=2, least=0)
    spread = f" ({summary.spread.replace('–', ' to ')})" if summary.spread else ""
    text = f"{summary.short}{spread}"
    return escaped(text if text.strip() != NOTHING else LETTERS["not_applicable"])


def _bound(rows: Sequence[Row]) -> str:
    """Write where the claim is supported, such as ``±.1 fraction``."""
    judged = [row for row in rows if row["verdict"] in JUDGED]
    found = list(dict.fromkeys(filter(None, map(_bound_of, judged))))
    return " or ".join(found) if len(found) <= MOST_BOUNDS else "by cell"


def _bound_of(row: Row) -> str:
    low, high = zone_of(row)
    if low is None and high is None:
        return ""
    if scale_of(row) == "share":
        return f"> {short_number(low)} of the way"
    unit = plain(row["effects"][0]["unit"], 40)
    if low is not None and high is not None:
        return f"±{short_number(high)} {unit}"
    sign, end = ("<", high) if low is None else (">", low)
    return f"{sign} {short_number(end)} {unit}"
