"""The self-tests of a report: sound today, broken when the instrument is."""

from __future__ import annotations

from pathlib import Path

import pytest

from probes.cell import Settings
from probes.data.regression_tasks import RegressionTask
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.observations.request import Request
from probes.run import self_tests
from probes.run.self_tests import SELF_TESTS, run_self_tests
from tests.support.running import ROOT, Ran, run

CONSTRUCTION, ORDER, TWICE, SPOILED = SELF_TESTS
BREAKS = """
from probes.run import self_tests

def pytest_configure():
    self_tests.SPOILED = self_tests.CONSTRUCTED  # a copy that is not spoiled
"""


@pytest.fixture
def observer(tmp_path: Path) -> Observer:
    return Observer(Store(tmp_path))


def failing(observer: Observer) -> set[str]:
    return {name for name, passed in run_self_tests(observer).items() if not passed}


def test_all_pass_on_a_sound_instrument(observer: Observer) -> None:
    assert failing(observer) == set()


def test_a_copy_that_is_not_spoiled_is_reported(
    observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_tests, "SPOILED", self_tests.CONSTRUCTED)
    assert failing(observer) == {SPOILED}


def test_a_construction_that_is_not_gd_is_reported(
    observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_tests, "CONSTRUCTED", self_tests.SPOILED)
    assert failing(observer) == {CONSTRUCTION}


def test_gd_that_depends_on_the_order_is_reported(
    observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Request.regression_task

    def last_is_lost(request: Request) -> RegressionTask:
        task = honest(request)
        task.x[:, -1] = 0.0
        return task

    monkeypatch.setattr(Request, "regression_task", last_is_lost)
    assert ORDER in failing(observer)


def test_a_judge_that_decides_nothing_is_reported(
    observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_tests, "SETTINGS", Settings(n_sets=2, n_queries=20))
    assert failing(observer) == {TWICE}


def test_a_self_test_that_crashes_has_failed(
    observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(observer: Observer) -> bool:
        raise ZeroDivisionError

    monkeypatch.setitem(SELF_TESTS, CONSTRUCTION, crash)
    assert failing(observer) == {CONSTRUCTION}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("broken")
    (folder / "breaks.py").write_text(BREAKS)
    return run(
        folder, "claims/test_construction.py", "-p", "breaks", "--raw",
        "--models", "constructed_gd_1", "--datasets", "linear", "--demos", "10",
        "-k", "one_layer", "--sets", "10", "--queries", "10",
        PYTHONPATH=f"{folder}:{ROOT / 'src'}",
    )  # fmt: skip


def test_a_run_whose_self_test_fails_exits_with_an_error(broken: Ran) -> None:
    assert [row["verdict"] for row in broken.rows] == ["supported"]
    assert broken.status == 1


@pytest.mark.parametrize("name", ["matrix.md", "index.html"])
def test_a_report_says_first_that_a_self_test_failed(broken: Ran, name: str) -> None:
    text = (broken.reports / name).read_text("utf-8")
    first = text[text.index("<h1") :] if name == "index.html" else text
    said = first.partition("\n")[0]
    assert f"SELF-TESTS FAILED: {SPOILED}" in said


def test_the_terminal_says_first_that_a_self_test_failed(broken: Ran) -> None:
    summary = broken.text[broken.text.index("is in-context learning") :]
    assert summary.splitlines()[1].startswith(f"SELF-TESTS FAILED: {SPOILED}")
