"""What changed between two runs, and what closes the gate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.cli.main import main
from probes.results.comparison import (
    CHANGE_KINDS,
    GRAVE,
    CellResult,
    classify_change,
    compare_cells,
    comparison_lines,
    count_changes,
)
from probes.results.record import differences, missing_of
from probes.results.rows import row_id
from probes.verdicts.outcomes import Expectation
from tests.support.running import run

VERDICTS = ("supported", "refuted", "inconclusive", "not_applicable", "error")


def cell_result(verdict: str, effect: float = 0.5) -> CellResult:
    return CellResult(verdict=verdict, effect=effect, low=0.4, high=0.6, unit="bits")


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ("supported", "supported", "same"),
        ("supported", "refuted", "opposite"),
        ("refuted", "supported", "opposite"),
        ("supported", "inconclusive", "weakened"),
        ("refuted", "not_applicable", "weakened"),
        ("inconclusive", "refuted", "strengthened"),
        ("inconclusive", "not_applicable", "drift"),
        ("supported", "error", "lost"),
        ("inconclusive", "error", "lost"),
        ("error", "supported", "new"),
    ],
)
def test_a_change_is_named_by_the_two_verdicts(
    before: str, after: str, kind: str
) -> None:
    assert classify_change(cell_result(before), cell_result(after)) == kind


def test_a_cell_of_one_run_alone_is_lost_or_new() -> None:
    assert classify_change(cell_result("supported"), None) == "lost"
    assert classify_change(None, cell_result("supported")) == "new"


@pytest.mark.parametrize(
    ("effect", "kind"),
    [(0.41, "same"), (0.59, "same"), (0.39, "drift"), (0.61, "drift")],
)
def test_an_effect_drifts_when_it_leaves_the_earlier_interval(
    effect: float, kind: str
) -> None:
    assert (
        classify_change(cell_result("refuted"), cell_result("refuted", effect)) == kind
    )


def test_an_open_end_is_never_left() -> None:
    before = CellResult(verdict="refuted", effect=0.5, low=None, high=0.6)
    assert classify_change(before, cell_result("refuted", -1e9)) == "same"


def test_without_an_interval_a_verdict_alone_is_compared() -> None:
    before = CellResult(verdict="refuted", effect=0.5)
    assert classify_change(before, cell_result("refuted", 7.0)) == "same"


@given(st.dictionaries(st.text(max_size=3), st.sampled_from(VERDICTS)))
def test_a_run_compared_with_itself_has_not_changed(cells: dict[str, str]) -> None:
    found = {cell: cell_result(verdict) for cell, verdict in cells.items()}
    kinds = {change.kind for change in compare_cells(found, found)}
    assert kinds <= {"same", "new"}  # an error before is a cell that was not there


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(VERDICTS)),
    st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(VERDICTS)),
)
def test_every_cell_is_counted_once_and_the_gravest_come_first(
    before: dict[str, str], after: dict[str, str]
) -> None:
    changes = compare_cells(
        {cell: cell_result(v) for cell, v in before.items()},
        {cell: cell_result(v) for cell, v in after.items()},
    )
    assert sum(count_changes(changes).values()) == len({*before, *after})
    places = [list(CHANGE_KINDS).index(change.kind) for change in changes]
    assert places == sorted(places)


def test_changes_are_named_with_both_verdicts_and_effects() -> None:
    before = {"c|m|d|4": cell_result("supported")}
    after = {"c|m|d|4": cell_result("refuted", 0.9)}
    said = comparison_lines(compare_cells(before, after))
    assert said[0].startswith("1 opposite, 0 lost")
    wanted = "opposite: c · m · d · 4: supported (0.5 bits) → refuted (0.9 bits)"
    assert said[1] == wanted


@pytest.mark.parametrize(
    ("recorded", "verdict", "strict", "loose"),
    [
        ("supported", "supported", False, False),
        ("supported", "inconclusive", True, False),
        ("inconclusive", "refuted", True, False),
        ("supported", "refuted", True, True),
        ("refuted", "supported", True, True),
    ],
)
def test_the_record_forbids_any_change_and_another_run_the_opposite(
    recorded: str, verdict: str, strict: bool, loose: bool
) -> None:
    for is_strict, forbidden in ((True, strict), (False, loose)):
        expected = Expectation(verdict=recorded, is_strict=is_strict)
        assert expected.forbids(verdict) is forbidden


def test_a_recorded_cell_is_missing_if_all_its_parts_ran() -> None:
    recorded = ["a[x]|m|d|4", "a[y]|m|d|4", "b|m|d|4", "a[x]|m|d|8", "a[x]|n|d|4"]
    assert missing_of(recorded, ["a[x]|m|d|4", "c|m|d|4"]) == ["a[y]|m|d|4"]
    assert missing_of(recorded, recorded) == []
    assert missing_of(recorded, []) == []


def test_runs_with_other_templates_say_so() -> None:
    plain, zhao = ({"provenance": {"options": o}} for o in ({}, {"--template": "zhao"}))
    assert differences([plain], [zhao]) == {"template": ("each its own", "zhao")}
    setup = {"provenance": {"setup": {"name": "shen2024", "--template": "zhao"}}}
    assert differences([zhao], [setup]) == {"setup": ("none", "shen2024")}
    assert differences([zhao], [zhao]) == differences([plain], [plain]) == {}


# ------------------------------------------------------------------ as a user


def written(path: Path, verdicts: dict[str, str]) -> Path:
    rows = [
        {
            "claim": cell,
            "model": "m",
            "dataset": "d",
            "n_demonstrations": 4,
            "verdict": verdict,
            "effects": [],
            "provenance": {},
        }
        for cell, verdict in verdicts.items()
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("after", "status"),
    [
        ({"a": "supported", "b": "refuted"}, 0),
        ({"a": "inconclusive", "b": "refuted"}, 0),
        ({"a": "refuted", "b": "refuted"}, 1),
        ({"a": "supported"}, 1),
    ],
)
def test_the_command_ends_with_1_where_a_change_is_grave(
    tmp_path: Path, capsys: Any, after: dict[str, str], status: int
) -> None:
    before = written(tmp_path / "a.jsonl", {"a": "supported", "b": "refuted"})
    found = main(["compare", str(before), str(written(tmp_path / "b.jsonl", after))])
    assert found == status
    said = capsys.readouterr().out
    assert any(f"{kind}: " in said for kind in GRAVE) is bool(status)


def test_a_file_that_is_no_run_is_an_error(tmp_path: Path, capsys: Any) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{}\n")
    assert main(["compare", str(broken), str(broken)]) == 4
    assert "is not a record of verdicts" in capsys.readouterr().err


SMALL = ("--sets", "4", "--queries", "6", "--calibration", "6", "--orders", "3")
CELL = ("--models", "constructed_gd_1", "--datasets", "linear", "--demos", "10")
CLAIM = "claims/test_construction.py::test_one_layer_is_one_step"


def test_another_run_fails_a_cell_that_became_its_opposite_only(
    tmp_path: Path,
) -> None:
    first = run(tmp_path, CLAIM, *CELL, *SMALL, "--raw")
    statuses = {}
    for verdict in ("supported", "inconclusive", "refuted"):
        row = first.rows[0] | {"verdict": verdict, "alone": verdict}
        earlier = tmp_path / f"{verdict}.jsonl"
        earlier.write_text(json.dumps(row) + "\n")
        found = run(tmp_path, CLAIM, *CELL, *SMALL, "--expect", str(earlier))
        kinds = [k for k, n in found.run["record"]["changes"].items() if n]
        statuses[verdict] = (found.status, kinds)
        drawn = (found.reports / "changes.html").read_text("utf-8")
        assert f"{earlier}" in drawn
        assert ("became its opposite:" in drawn) is (verdict == "refuted")
    assert statuses == {
        "supported": (0, ["same"]),
        "inconclusive": (0, ["strengthened"]),
        "refuted": (1, ["opposite"]),
    }


def test_a_cell_that_another_run_had_and_this_one_lacks_is_named(
    tmp_path: Path,
) -> None:
    first = run(tmp_path, CLAIM, *CELL, *SMALL, "--raw")
    gone = first.rows[0] | {"claim": f"{first.rows[0]['claim']}[gone]"}
    earlier = tmp_path / "earlier.jsonl"
    earlier.write_text("".join(json.dumps(row) + "\n" for row in [*first.rows, gone]))
    found = run(tmp_path, CLAIM, *CELL, *SMALL, "--expect", str(earlier))
    assert found.run["record"]["missing"] == [row_id(gone)]
    assert "Missing here: one_layer_is_one_step[gone] · constructed_gd_1" in found.text
    picked = ("--expect", str(earlier), "-k", "one_layer")
    assert run(tmp_path, CLAIM, *CELL, *SMALL, *picked).run["record"]["missing"] == []
    drawn = found.reports / "changes.html"
    assert drawn.exists()
    run(tmp_path, CLAIM, *CELL, *SMALL, "--raw")
    assert not drawn.exists()  # it would speak of other rows
