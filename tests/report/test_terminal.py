"""The end of a run in a terminal: short, with the answer first and nothing cut off."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from probes.report.rerun import rerun_words
from probes.report.terminal import MOST_LINES, matrix_lines, missing_lines
from probes.results.rows import Row
from tests.support.rows import PROVENANCE, effect, row, run_of

KINDS = ("pretrained", "learned", "untrained", "constructed")
COUNTED = {"train": {"good": 3}, "test": {"bad": 2}, "repeated": 1}


def green(n_claims: int, n_models: int) -> tuple[list[Row], dict[str, Any]]:
    """Imitate a run that differs nowhere from its record."""
    verdicts = ("supported", "refuted", "inconclusive", "not_applicable")
    rows = [
        row(
            claim=f"a_claim_with_a_long_name_{c}[{variant}]",
            model=f"a_model_with_a_long_name_{m}",
            kind=KINDS[m % 4],
            verdict=verdicts[(c + m) % 4],
            effects=[effect(value=c / 7)],
            reason="too wide to say, at such length that it takes more than one line, "
            f"because of {variant}, so pass --sets 35",
        )
        for c in range(n_claims)
        for m in range(n_models)
        for variant in ("gd", "adam")
    ]
    record = {"file": "old.jsonl", "applies": True, "compared": 9, "new": 0}
    record |= {"not_run": 0, "differs": {}, "changes": {"same": 9}, "changed": []}
    return rows, run_of(rows, datasets={"moods": COUNTED}, record=record)


@pytest.mark.parametrize(("n_claims", "n_models"), [(2, 2), (31, 12), (90, 60)])
def test_a_run_without_surprises_ends_in_forty_lines(
    n_claims: int, n_models: int
) -> None:
    lines = matrix_lines(*green(n_claims, n_models))
    assert len(lines) <= MOST_LINES < 40
    assert lines[0].startswith("On ")
    assert max(map(len, lines)) <= 100


def test_verbose_shows_every_variant_and_every_model() -> None:
    lines = "\n".join(matrix_lines(*green(3, 12), is_verbose=True))
    assert all(f"long_name_{c}[adam]" in lines for c in range(3))
    assert all(f"a_model_with_a_long_name_{m}" in lines for m in range(12))
    assert "Rows of moods: train 3 (good 3)" in lines


def test_few_models_have_a_column_each_with_effects() -> None:
    rows = [row(), row(model="gpt", verdict="refuted", effects=[effect(value=0.29)])]
    lines = matrix_lines(rows, run_of(rows))
    assert "             gpt    llama" in lines
    assert "same_answer  R .29  S .2" in lines


def test_a_long_reason_keeps_the_advice_at_its_end() -> None:
    text = " ".join(" ".join(matrix_lines(*green(4, 2))).split())
    assert "because of gd, so pass --sets 35" in text


def test_the_gates_numbers_are_told() -> None:
    gain = effect(name="gain of ICL", margin=None)
    rows = [
        row(
            verdict="not_applicable",
            reason="ICL gains nothing",
            dataset=f"d{value}",
            effects=[gain | {"value": value}],
        )
        for value in (-0.1, 0.025, 0.2)
    ]
    wanted = "- 3 × ICL gains nothing (gain of ICL .025, −.1 to .2)"
    assert wanted in matrix_lines(rows, run_of(rows))


def test_tests_without_a_report_are_folded() -> None:
    tests = [f"claims/test_a.py::test_b[c-d-{n}]" for n in range(30)]
    lines = missing_lines(tests, 100, most=3)
    assert lines[0] == "no report: claims/test_a.py::test_b[c-d-0]"
    assert lines[3:] == ["and no report of 27 more"]
    assert len(missing_lines(tests, 100, most=None)) == 30


def test_a_rerun_lists_only_what_the_cell_needs() -> None:
    options = {
        "--models": "gpt=runs/a, runs/llama ,other",
        "--datasets": "rows/sst2.jsonl,cb",
        "--demos": "1,2,4,8",
        "--reports": "mine/again",
        "--raw": "",
        "-pprobes_fixtures": "",
    }
    made = PROVENANCE | {"options": options, "tests_root": "../others"}
    words = rerun_words(row(provenance=made))
    assert shlex.join(words) == (
        "pytest '../others/claims/test_a.py::test_b[c-d-4]' --models runs/llama "
        "--datasets rows/sst2.jsonl --demos 4 --reports mine/again --raw "
        "-pprobes_fixtures"
    )
    aliased = rerun_words(row(provenance=made, model="gpt"))
    assert aliased[aliased.index("--models") + 1] == "gpt=runs/a"
    unknown = rerun_words(row(provenance=made, model="runs_llama"))
    assert unknown[unknown.index("--models") + 1] == options["--models"]


@pytest.mark.parametrize("width", [60, 80])
def test_names_that_begin_alike_stay_apart_in_a_narrow_terminal(width: int) -> None:
    names = ("weights_are_sparse_as_constructed", "demonstrations_count_alike")
    rows = [
        row(claim=f"{name}{ending}", verdict="refuted")
        for name in names
        for ending in ("", "_in_regression")
    ]
    lines = matrix_lines(rows, run_of(rows), width=width)
    drawn = [line.split()[0] for line in lines if " R .2" in line]
    assert len(set(drawn)) == len(rows)
    assert max(map(len, lines)) <= width
