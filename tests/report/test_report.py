"""The drawings of rows: safe with any text, complete, and honest about the run."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shlex
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from probes.measurement import Measurement
from probes.report import write_report
from probes.report.common_scale import scale_of
from probes.report.markdown import matrix_markdown
from probes.report.matrix import LETTERS, summarise, summary_line
from probes.report.page import matrix_page
from probes.report.rerun import rerun_command
from probes.report.short_summary import short_summary
from probes.report.terminal import matrix_lines
from probes.report.terminal_text import columns
from probes.results.rows import Row
from probes.verdicts.equivalence import equivalence_test
from tests.support.rows import (
    HOSTILE,
    PROVENANCE,
    Reader,
    effect,
    hostile_row,
    hostile_run,
    row,
    run_of,
)


def terminal(rows: list[Row], run: dict[str, Any]) -> str:
    return "\n".join(matrix_lines(rows, run, is_verbose=True))


def folded(rows: list[Row], run: dict[str, Any]) -> str:
    return "\n".join(matrix_lines(rows, run))


Draw = Callable[[list[Row], dict[str, Any]], str]
DRAWINGS = pytest.mark.parametrize(
    "draw", [terminal, folded, matrix_markdown, short_summary, matrix_page]
)


def data_of(text: str) -> dict[str, Any]:
    start = text.index(">", text.index('id="data"')) + 1
    packed = base64.b64decode(text[start : text.index("</script>", start)])
    found: dict[str, Any] = json.loads(gzip.decompress(packed))
    return found


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_of_a_row_changes_the_structure_of_the_page(name: str) -> None:
    rows, tame = [hostile_row(HOSTILE[name])], [hostile_row("tame")]
    found = Reader(matrix_page(rows, hostile_run(HOSTILE[name], rows)))
    plain = Reader(matrix_page(tame, hostile_run("tame", tame)))
    assert [tag for tag, _ in found.tags] == [tag for tag, _ in plain.tags]
    assert [[*a] for _, a in found.tags] == [[*a] for _, a in plain.tags]
    assert found.open == []


@pytest.mark.parametrize("name", ["script", "closing", "quotes", "pipes", "jinja"])
def test_hostile_text_shows_as_text_in_the_page_and_in_its_data(name: str) -> None:
    rows = [hostile_row(HOSTILE[name])]
    text = matrix_page(rows, hostile_run(HOSTILE[name], rows))
    assert HOSTILE[name] in [shown for _, shown in Reader(text).texts]
    assert HOSTILE[name] in data_of(text)["strings"]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_of_a_row_breaks_a_table_of_the_markdown(name: str) -> None:
    rows = [hostile_row(HOSTILE[name])]
    text = matrix_markdown(rows, hostile_run(HOSTILE[name], rows))
    tables = [line for line in text.split("\n") if line.startswith("|")]
    bars = [len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in tables]
    assert bars == [3, 3, 3, 12, 12, 12]
    assert "<" not in text
    assert not re.search(r"(?<!\\)(?:\\\\)*`", text)


@pytest.mark.parametrize("name", HOSTILE)
@DRAWINGS
def test_no_control_character_surrogate_or_flood_reaches_a_drawing(
    draw: Draw, name: str
) -> None:
    rows = [hostile_row(HOSTILE[name])]
    text = draw(rows, hostile_run(HOSTILE[name], rows)).replace("\n", "")
    text.encode("utf-8")
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e]", text)
    assert "x" * 2001 not in text


@pytest.mark.parametrize("name", ["script", "pipes", "jinja"])
def test_hostile_text_shows_as_text_in_the_terminal(name: str) -> None:
    rows = [hostile_row(HOSTILE[name])]
    assert HOSTILE[name] in terminal(rows, hostile_run(HOSTILE[name], rows))


@DRAWINGS
def test_failing_self_tests_are_in_the_first_line(draw: Draw) -> None:
    rows = [row()]
    text = draw(rows, run_of(rows, self_tests={"good": True, "spoiled copy": False}))
    first = text.partition("\n")[0].lstrip("# ")
    if draw is matrix_page:
        first = next(shown for tag, shown in Reader(text).texts if tag == "h1")
        assert text.index("<h1") < text.index("<p")
    assert first.startswith(
        "SELF-TESTS FAILED: spoiled copy; do not trust the verdicts"
    )


@DRAWINGS
def test_an_incomplete_run_says_so_before_its_numbers(draw: Draw) -> None:
    rows = [row()]
    text = draw(rows, run_of(rows, cells=5, complete=False))
    alarm = text.index("RUN INCOMPLETE: 1 of 5 cells have a row.")
    assert alarm < text.index("1 supported")


@DRAWINGS
def test_a_run_without_self_tests_is_not_vouched_for(draw: Draw) -> None:
    assert "NO SELF-TESTS RAN" in draw([row()], run_of([row()], self_tests={}))


@DRAWINGS
def test_a_run_without_rows_is_drawn(draw: Draw) -> None:
    assert "0 cells on 0 models" in draw([], run_of([]))


def test_the_headline_counts_cells_models_verdicts_and_self_tests() -> None:
    rows = [row(), row(dataset="cb", verdict="refuted"), row(model="gpt")]
    assert summary_line(rows, run_of(rows)) == (
        "3 cells on 2 models: 2 supported, 1 refuted, 0 inconclusive, 0 not "
        "applicable; self-tests 1 of 1 passed."
    )


def test_an_entry_is_one_letter_if_all_cells_agree_and_counts_otherwise() -> None:
    refuted = row(verdict="refuted")
    assert summarise([row(), row()]) == "S"
    assert summarise([refuted, refuted, row()]) == "S1 R2"
    assert summarise([row(verdict="error")]) == "E!"
    assert summarise([]) == ""


@pytest.mark.parametrize("verdict", LETTERS)
def test_the_letter_of_every_row_is_in_the_page(verdict: str) -> None:
    rows = [row(verdict=verdict), row(verdict="supported", dataset="cb")]
    texts = Reader(matrix_page(rows, run_of(rows))).texts
    letter = LETTERS[verdict]
    alone = ("supported", "not_applicable")  # what does not apply is not counted
    counted = "S" if verdict in alone else f"{letter}1"
    assert ("b", counted) in texts


def test_every_row_is_in_the_data_of_the_page() -> None:
    rows = [row(dataset=f"d{i}", n_demonstrations=i) for i in range(1, 30)]
    data = data_of(matrix_page(rows, run_of(rows)))
    at = data["row_fields"].index("n_demonstrations")
    assert [found[at] for found in data["rows"]] == [*range(1, 30)]


def test_the_policy_of_the_page_allows_its_own_script_and_style_only() -> None:
    text = matrix_page([row()], run_of([row()]))
    policy = next(str(a["content"]) for _, a in Reader(text).tags if "http-equiv" in a)
    for kind in ("script", "style"):
        inline = re.findall(rf"<{kind}>(.*?)</{kind}>", text, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inline[0].encode()).digest()).decode()
        assert len(inline) == 1
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")


def test_the_page_loads_nothing_and_holds_no_inline_style_or_handler() -> None:
    tags = Reader(matrix_page([row()], run_of([row()]))).tags
    attributes = {name for _, a in tags for name in a}
    assert not {"src", "href", "style"} & attributes
    assert not [name for name in attributes if name.startswith("on")]


@pytest.mark.parametrize(
    ("n_datasets", "most"), [(5, 1_500_000), (20, 5_000_000)], ids=["5000", "20000"]
)
def test_many_cells_make_a_page_of_few_megabytes(n_datasets: int, most: int) -> None:
    beside = effect(margin=None, p=None, p_adjusted=None)
    rows = [
        row(claim=f"claim_{c}", model=f"model_{m}", n_demonstrations=2**n)
        | {"effects": [effect(value=c / 7), *[beside | {"value": m / 7}] * 3]}
        | {"dataset": f"d{d}"}
        | {"test": f"claims/test_a.py::test_{c}[model_{m}-d{d}-{2**n}]"}
        | {"observations": [f"{m}{d}{n}{i}".zfill(32) for i in range(4)]}
        for c in range(25)
        for m in range(10)
        for d in range(n_datasets)
        for n in range(4)
    ]
    assert len(matrix_page(rows, run_of(rows)).encode()) <= most


@pytest.mark.parametrize("n_models", [1, 12, 60])
@pytest.mark.parametrize("text", ["long_name", *HOSTILE.values()])
def test_terminal_lines_fit_the_width_whatever_the_names(
    n_models: int, text: str
) -> None:
    rows = [
        hostile_row(text) | {"model": f"{text}_{m}" * 3, "claim": f"claim {c} {text}"}
        for m in range(n_models)
        for c in range(3)
    ]
    lines = matrix_lines(rows, hostile_run(text, rows), width=100)
    assert max(map(columns, lines)) <= 100


def test_at_most_twenty_unexpected_cells_are_listed_above_the_matrix() -> None:
    refuted = row(verdict="refuted", expected="supported", outcome="failed")
    rows = [refuted | {"model": f"m{i}"} for i in range(23)]
    lines = matrix_lines(rows, run_of(rows))
    assert lines[0] == "Unexpected: 23"
    assert "  distance 0.2 [0.1, 0.3] nats" in lines
    assert lines.count('pytest "claims/test_a.py::test_b[c-d-4]"') == 20
    assert "and 3 more" in lines


def test_a_long_rerun_command_is_one_command_to_a_shell() -> None:
    test = "claims/test_a.py::test_b[" + "long_model_name-" * 30 + "$HOME'-4]"
    lines = matrix_lines([row(verdict="error", test=test)], run_of([row()]))
    start = next(i for i, line in enumerate(lines) if line.startswith("pytest "))
    end = next(i for i in range(start, len(lines)) if not lines[i].endswith("\\"))
    command = "\n".join(lines[start : end + 1]).replace("\\\n", "")
    assert shlex.split(command) == ["pytest", test]


OPTIONS = {"--models": "my model,b", "--sets": "4", "--data-dir": "$HOME/it's"}


@pytest.mark.parametrize("width", [40, 100, 400])
def test_a_rerun_command_carries_the_options_of_its_run(width: int) -> None:
    provenance = PROVENANCE | {"options": OPTIONS}
    crashed = row(verdict="error", provenance=provenance)
    words = ["pytest", crashed["test"], *(w for pair in OPTIONS.items() for w in pair)]
    assert shlex.split(rerun_command(crashed)) == words
    lines = matrix_lines([crashed], run_of([crashed]), width=width)
    start = next(i for i, line in enumerate(lines) if line.startswith("pytest "))
    end = next(i for i in range(start, len(lines)) if not lines[i].endswith("\\"))
    command = "\n".join(lines[start : end + 1]).replace("\\\n", "")
    assert shlex.split(command) == words


def test_distinct_reasons_are_counted_and_few() -> None:
    said = {"verdict": "not_applicable", "reason": "the ceiling (0.9) is low"}
    rows = [row(**said), row(**(said | {"reason": "the ceiling (0.8) is low"}))]
    rows.append(row(verdict="inconclusive", reason="too wide"))
    lines = matrix_lines(rows, run_of(rows))
    assert "- 2 × the ceiling is low" in lines
    assert "I 1 × too wide" in lines
    many = [row(verdict="inconclusive", reason=f"reason {i}") for i in range(20)]
    shown = [line for line in folded(many, run_of(many)).split("\n") if " × " in line]
    assert len(shown) == 2
    assert terminal(many, run_of(many)).count(" × ") == 6


def test_an_exclamation_mark_needs_a_record() -> None:
    refuted = row(verdict="refuted", outcome="failed")
    assert summarise([refuted]) == "R"
    assert summarise([refuted | {"expected": "supported"}]) == "R!"
    said = "1 refuted cell failed without a recorded verdict"
    assert f"{said};" in terminal([refuted], run_of([refuted]))
    withdrawn = row(verdict="inconclusive", alone="refuted", outcome="failed")
    text = " ".join(terminal([refuted, withdrawn], run_of([refuted])).split())
    assert "without a recorded verdict, 1 of them only before the correction;" in text
    recorded = refuted | {"expected": "supported"}
    assert said not in terminal([recorded], run_of([recorded]))


RECORD = {"file": "old.jsonl", "applies": True, "compared": 3, "new": 1, "not_run": 2}
RECORD |= {"differs": {"seed": ["1", "0"]}}
RECORD |= {"changes": {"opposite": 1, "same": 2}, "changed": ["opposite: a: S → R"]}


@pytest.mark.parametrize("draw", [terminal, matrix_markdown])
def test_a_comparison_says_what_was_compared_and_what_differs(draw: Draw) -> None:
    text = draw([row()], run_of([row()], record=RECORD))
    assert "old.jsonl: 3 cells in both, 1 only here, 2 only there." in text
    assert "That run had seed 1 (here 0)." in text
    assert "Changes: 1 opposite, 2 same." in text
    assert "opposite: a: S → R" in text.replace("\\", "")
    text = draw([row()], run_of([row()], record=RECORD | {"applies": False}))
    assert "Nothing was compared: old.jsonl was recorded with other settings." in text
    empty = RECORD | {"compared": 0, "not_run": 0, "changes": {}}
    text = draw([row()], run_of([row()], record=empty))
    assert "Nothing was compared: old.jsonl has no cells." in text


@pytest.mark.parametrize("draw", [terminal, matrix_markdown])
def test_labels_are_counted_and_repeated_rows_warned_of(draw: Draw) -> None:
    counted = {"train": {"good": 3, "bad": 1}, "test": {"bad": 2}, "repeated": 1}
    text = draw([row()], run_of([row()], datasets={"moods": counted}))
    assert "Rows of moods: train 4 (good 3, bad 1); test 2 (bad 2)" in text
    assert "Warning: 1 of the 2 test rows of moods" in text


@pytest.mark.parametrize("draw", [terminal, matrix_markdown])
def test_an_identity_is_marked_as_evidence_of_nothing(draw: Draw) -> None:
    assert "≡ same_answer" in draw([row(identity=True)], run_of([row()]))
    assert "it is no evidence" in " ".join(
        draw([row(identity=True)], run_of([row()])).split()
    )
    assert "≡" not in draw([row()], run_of([row()]))


def test_a_note_that_cells_share_is_shown_once() -> None:
    note = "the worst task: " + "n_demonstrations 14, scale 1, " * 3
    rows = [row(note=note, dataset=f"d{i}") for i in range(5)]
    text = matrix_markdown(rows, run_of(rows))
    assert text.count("the worst task") == 1
    assert text.count("note 1 |") == 5


def test_arms_are_shown_with_the_verdict_in_one_order() -> None:
    arms = [effect(name="floor, base", value=0.25), effect(name="ICL", value=0.75)]
    rows = [row(effects=[effect(), *arms]), row(dataset="cb")]
    text = matrix_markdown(rows, run_of(rows))
    assert "in this order:** floor, base; ICL" in text
    assert "| 0.25 / 0.75 |" in text
    assert "| – / – |" in text


def test_a_scale_shows_the_sides_that_the_test_had() -> None:
    share = effect(floor=0.1, ceiling=0.8)
    assert scale_of(row(effects=[share])) == "share"
    assert scale_of(row(effects=[share | {"level": None}])) == "raw"
    assert scale_of(row(effects=[effect(level=None)])) == "below"
    assert scale_of(row(p_supported=0.01, p_refuted=0.99)) == "below"
    assert scale_of(row(p_supported=0.01, p_refuted=1.0)) == "within"
    assert scale_of(row(effects=[])) == "value"


@pytest.mark.parametrize("n_sets", [10, 12])
@pytest.mark.parametrize("mean", [-1.0, 0.05, 0.2, 1.0])
def test_the_zone_is_on_the_side_where_the_judge_supports(
    n_sets: int, mean: float
) -> None:
    noise = np.random.default_rng(0).normal(size=(n_sets, 30)) / 4
    values = Measurement(name="gap", values=mean + noise, unit="nats")
    mirrored = replace(values, values=0.2 - values.values)  # as judge.exceeds does
    for kind, said, asked in (
        ("within", values, {"one_sided": False}),
        ("below", values, {"one_sided": True}),
        ("above", mirrored, {"one_sided": True}),
    ):
        found = equivalence_test(said, margin=0.1, **asked)
        shown = asdict(replace(found.effect, value=values.mean))
        p = {"p_supported": found.p_supported, "p_refuted": found.p_refuted}
        assert scale_of(row(verdict=found.verdict, effects=[shown], **p)) == kind


def test_the_report_is_three_files_even_of_lone_surrogates(tmp_path: Path) -> None:
    rows = [hostile_row(HOSTILE["surrogate"])]
    write_report(rows, run_of(rows), tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "matrix.md",
        "summary.md",
        "index.html",
    }


@pytest.mark.parametrize(
    ("commit", "said"),
    [
        ("0123456789abcdef+changes", "commit 0123456789ab+changes, python"),
        (f"{'a' * 40}, {'b' * 40}, {'b' * 40}+changes", "3 states of the code, python"),
        (None, "commit unknown, python"),
    ],
)
def test_the_page_names_the_code_briefly(commit: str | None, said: str) -> None:
    run = run_of([row()])
    run["provenance"] = run["provenance"] | {"commit": commit}
    summary = matrix_page([row()], run).partition("<summary>How to read")[2]
    assert said in summary.partition("</summary>")[0]
