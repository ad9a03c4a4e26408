"""Progress: one line that says what is done and what is left, rarely in a log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from probes.cell import Settings
from probes.engine.progress import LINE_WIDTH, ProgressFile, ProgressReporter
from probes.learners import InContext
from probes.observations.request import Request
from probes.run.grid import dataset_named, model_named

REQUEST = Request(
    learner=InContext(),
    model=model_named("hmm_llama"),
    dataset=dataset_named("hmm"),
    n_demonstrations=4,
    settings=Settings(),
)


def write(folder: Path, name: str, **state: object) -> None:
    whole = {"planned": 0, "stored": 0, "begun": 0, "doing": "", "detail": ""} | state
    (folder / f"{name}.json").write_text(json.dumps(whole))


def test_a_line_sums_the_workers(tmp_path: Path) -> None:
    write(tmp_path, "gw0", planned=10, stored=4, begun=2, doing="ICL on a")
    write(tmp_path, "gw1", begun=1, doing="GD on b")
    line = ProgressReporter(tmp_path, print, on_terminal=False).line()
    assert line.startswith("#####..... [3/6 observations, 4 stored, about ")
    assert line.endswith("ICL on a | GD on b")


def test_how_far_a_long_observation_is_stands_before_what_it_is(tmp_path: Path) -> None:
    status = ProgressFile(tmp_path, "gw0")
    status.announce(REQUEST)
    status.report(REQUEST, "rate 0.1, 64 passes")
    reporter = ProgressReporter(tmp_path, print, on_terminal=False)
    assert "left] rate 0.1, 64 passes: InContext on hmm_llama" in reporter.line()
    status.announce(REQUEST)
    assert "64 passes" not in reporter.line()


def test_a_line_fits_whatever_the_names(tmp_path: Path) -> None:
    write(tmp_path, "gw0", planned=10, begun=2, doing="x" * 500)
    line = ProgressReporter(tmp_path, print, on_terminal=True).line()
    assert len(line) == LINE_WIDTH


def test_nothing_measured_shows_nothing(tmp_path: Path) -> None:
    write(tmp_path, "gw0", planned=10, stored=10)
    assert ProgressReporter(tmp_path, print, on_terminal=False).line() == ""


@pytest.mark.parametrize(("on_terminal", "most"), [(False, 3), (True, 36)])
def test_three_minutes_in_a_log_are_at_most_three_lines(
    on_terminal: bool, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    reporter = ProgressReporter(tmp_path, lines.append, on_terminal=on_terminal)
    clock = 0.0

    def wait(seconds: float) -> bool:
        nonlocal clock
        clock += seconds
        write(tmp_path, "gw0", planned=999, begun=int(clock), doing="ICL")
        return clock > 180

    monkeypatch.setattr(reporter._stop, "wait", wait)
    reporter._show_often()
    assert 2 <= len(lines) <= most
