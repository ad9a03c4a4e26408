"""The forest of all claims and the LaTeX tables hold the numbers of the rows."""

from __future__ import annotations

import math
import re
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from probes.report.common_scale import LEAST, MOST, excess_of
from probes.report.forest import ForestMark, forest_of
from probes.report.latex_table import escaped, latex_tables
from probes.report.matrix import LETTERS, arrange, split_variant
from probes.report.number_text import short_number
from probes.results.reading import read_results
from probes.results.rows import Row
from tests.support.rows import HOSTILE, effect, row
from tests.support.running import ROOT

SAMPLE = ROOT / "reports/sample/results.jsonl"


def within(value: float, low: float | None, high: float | None, **given: Any) -> Row:
    one = effect(value=value, low=low, high=high, margin=0.1, has_two_sides=True)
    return row(effects=[one], **given)


def test_a_mark_is_the_median_with_the_range_of_effects_and_of_intervals() -> None:
    rows = [
        within(0.2, 0.15, 0.3, verdict="refuted"),
        within(0.4, 0.35, 0.8, verdict="refuted", n_demonstrations=8),
        within(0.05, -0.02, 0.08, kind="learned", model="small"),
    ]
    forest = forest_of(arrange(rows))
    assert forest.kinds == ["pretrained", "learned"]
    (line,) = forest.lines.values()
    (refuted,) = line["pretrained"]
    assert (refuted.verdict, refuted.count) == ("refuted", 2)
    assert refuted.effects == (pytest.approx(1), pytest.approx(2))  # 2 ×, 4 × margin
    assert refuted.at == pytest.approx(1.5)
    assert refuted.reach == (pytest.approx(math.log2(1.5)), pytest.approx(3))
    (held,) = line["learned"]
    assert held.at == pytest.approx(-0.5)  # half the margin
    assert held.reach == (-1, pytest.approx(-0.2))


def test_an_open_end_reaches_the_end_of_the_axis_and_no_interval_is_a_point() -> None:
    share = effect(floor=0.1, ceiling=0.8, margin=0.1, value=0.5, low=None, high=0.7)
    (mark,) = marks([row(effects=[share], verdict="refuted")])
    assert (mark.reach[0], mark.reach[1]) == (pytest.approx(math.log2(3)), MOST)
    below = effect(has_two_sides=False, low=None, high=0.3)
    (mark,) = marks([row(effects=[below])])
    assert mark.reach == (LEAST, pytest.approx(-0.4))
    exact = effect(value=0.25, low=None, high=None, level=None)
    (mark,) = marks([row(effects=[exact])])
    assert mark.reach == (mark.at, mark.at) == (-0.5, -0.5)


def marks(rows: list[Row]) -> list[ForestMark]:
    (line,) = forest_of(arrange(rows)).lines.values()
    return [mark for found in line.values() for mark in found]


def test_claims_without_a_margin_and_identities_have_no_place() -> None:
    rows = [
        row(effects=[effect(margin=None)]),
        row(claim="algebra", identity=True),
        row(claim="crashed", verdict="error", effects=[]),
    ]
    assert forest_of(arrange(rows)).lines == {}


# ------------------------------------------------------------------------- tables


def entries(table: str) -> dict[str, list[str]]:
    """Read the lines of a table: the columns after the claim, by its name."""
    body = table.partition("\\midrule\n")[2].partition("\\bottomrule")[0]
    found = {}
    for line in body.splitlines():
        assert line.endswith(" \\\\")
        name, *columns = line.removesuffix(" \\\\").split(" & ")
        claim = re.search(r"\\texttt\{(.*)\}$", name)
        assert claim is not None
        found[claim[1].replace("\\_", "_")] = columns
    return found


def test_the_tables_of_the_sample_have_its_claims_models_and_effects() -> None:
    rows = read_results(SAMPLE)
    tables = latex_tables(arrange(rows))
    kinds = {row["kind"] for row in rows}
    assert {*tables} == {f"verdicts_{kind}.tex" for kind in kinds}
    n_compared = 0
    for kind in kinds:
        table = tables[f"verdicts_{kind}.tex"]
        own = [row for row in rows if row["kind"] == kind]
        models = sorted({row["model"] for row in own})
        found = entries(table)
        assert {*found} == {split_variant(row["claim"])[0] for row in own}
        assert f"{{@{{}}ll{'l' * len(models)}@{{}}}}" in table
        for claim, (_, *columns) in found.items():
            assert len(columns) == len(models)
            for model, shown in zip(models, columns, strict=True):
                cells = [r for r in own if split_variant(r["claim"])[0] == claim]
                n_compared += check([r for r in cells if r["model"] == model], shown)
    assert n_compared > 100


def check(cells: list[Row], shown: str) -> int:
    """Compare an entry with its cells; count it if it has an effect."""
    verdicts = {row["verdict"] for row in cells}
    if not cells:
        assert shown == ""
        return 0
    if verdicts == {"not_applicable"}:
        assert shown == "-"
        return 0
    letters, *numbers = shown.replace("$-$", "-").split(" ")
    judged = [row for row in cells if row["verdict"] != "not_applicable"]
    assert {*re.findall("[A-Z]", letters)} == {
        LETTERS[row["verdict"]] for row in judged
    }
    if any(char.isdigit() for char in letters):
        assert sum(map(int, re.findall(r"\d+", letters))) == len(judged)
    if not numbers:
        return 0
    measured = [row for row in judged if row["effects"]]
    placed = [row for row in measured if excess_of(row) is not None] or measured
    first = [row["effects"][0] for row in placed]
    values = [float(f"{e['value']:.4g}") for e in first if e["margin"] is not None]
    assert numbers[0] == short_number(median(values)).replace("−", "-")
    if numbers[1:]:
        low, to, high = numbers[1:]
        ends = [short_number(x).replace("−", "-") for x in (min(values), max(values))]
        assert [low, to, high] == [f"({ends[0]}", "to", f"{ends[1]})"]
    return 1


def test_a_bound_says_where_the_claim_is_supported() -> None:
    share = effect(floor=0.1, ceiling=0.8, margin=0.1)
    rows = [
        row(claim="two_sides", p_supported=0.01, p_refuted=1.0),
        row(claim="below"),
        row(claim="share", effects=[share]),
        row(claim="open", verdict="not_applicable"),
        *(row(claim="many", effects=[effect(margin=m)]) for m in (0.1, 0.2, 0.3)),
    ]
    (table,) = latex_tables(arrange(rows)).values()
    assert {claim: columns[0] for claim, columns in entries(table).items()} == {
        "two_sides": r"$\pm$.5 nats",
        "below": r"\textless{} .5 nats",
        "share": r"\textgreater{} .9 of the way",
        "open": "",
        "many": "by cell",
    }


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_of_a_row_is_a_command_of_latex(name: str) -> None:
    text = HOSTILE[name] + r"\input{/etc/passwd} 50% $x$ #1 a_b^c~d & e"
    rows = [row(claim=text, model=text, kind=text, effects=[effect(unit=text)])]
    ((file, table),) = latex_tables(arrange(rows)).items()
    assert Path(file).name == file
    assert re.fullmatch(r"verdicts_[a-z0-9_]+\.tex", file)
    body = [line for line in table.splitlines() if not line.startswith("%")]
    allowed = {"begin", "toprule", "midrule", "bottomrule", "end", "texttt", "pm"}
    allowed |= {"textless", "textgreater", "textbar", "textbackslash", "dots"}
    allowed |= {"textasciitilde", "textasciicircum"}
    assert {*re.findall(r"\\([a-zA-Z]+)", "\n".join(body))} <= allowed
    assert len(body) == 7
    (line,) = (line for line in body if "texttt" in line)
    assert len(re.findall(r"(?<!\\)&", line)) == 2
    bare = re.sub(r"\\[\\&%$#_{}]|\$\\pm\$|\\[a-z]+\{\}", "", line)
    assert not set(bare.replace("\\texttt{", "").replace("}", "", 1)) & set(
        "&%$#_^~\\{"
    ) - {"&"}


def test_special_letters_are_escaped() -> None:
    assert escaped(r"a_b & 5% of {x} \y") == (r"a\_b \& 5\% of \{x\} \textbackslash{}y")
    assert escaped("−.5–.1") == "$-$.5--.1"
