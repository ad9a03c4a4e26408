"""Plans measured by engines and in parts, run as a user runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from probes.engine.store import Store
from tests.support.running import Ran, run

CLAIM = "claims/test_construction.py::test_one_layer_is_one_step"
SMALL = ("--sets", "5", "--queries", "6", "--calibration", "6", "--orders", "3")
GRID = ("--models", "constructed_gd_1,untrained:learned_lsa_1", "--demos", "10")
PLAY = (CLAIM, *GRID, "--datasets", "linear", *SMALL, "--raw")
SELF_TESTS = 7  # observations of theirs, which no plan holds


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="module")
def parts(folder: Path) -> list[Ran]:
    """Measure a plan in two parts, one by an engine."""
    one = run(folder, *PLAY, "--shard", "1/2", "-n", "2")
    return [one, run(folder, *PLAY, "--shard", "2/2", "--engine", "local:2")]


@pytest.fixture(scope="module")
def judged(folder: Path, parts: list[Ran]) -> Ran:
    return run(folder, *PLAY)


def kinds(folder: Path) -> set[str]:
    store = Store(folder / "store")
    keys = {path.stem for path in store.folder.glob("??/*.safetensors")}
    return {str(store.facts(key).get("kind")) for key in keys}


def test_a_part_judges_nothing(parts: list[Ran]) -> None:
    for number, ran in enumerate(parts, start=1):
        assert ran.status == 0, ran.text
        assert f"Part {number}/2 of the plan:" in ran.text
        assert "0 failed. Nothing was judged." in ran.text
        assert not ran.rows


def test_all_parts_together_leave_nothing_to_measure(judged: Ran) -> None:
    assert {row["model"]: row["verdict"] for row in judged.rows} == {
        "constructed_gd_1": "supported",
        "untrained:learned_lsa_1": "inconclusive",
    }
    assert judged.run["observations_measured"] == SELF_TESTS


def test_an_engine_measures_what_a_plain_run_does_and_no_more(
    judged: Ran, tmp_path: Path
) -> None:
    """What a gate dismisses is not measured: here GD on an untrained network."""
    ran = run(tmp_path, *PLAY, "--engine", "local:1")
    kept = ("claim", "model", "verdict", "effects", "observations")
    assert [[row[k] for k in kept] for row in ran.rows] == [
        [row[k] for k in kept] for row in judged.rows
    ]
    needed = {key for row in ran.rows for key in row["observations"]}
    assert ran.run["observations_measured"] == SELF_TESTS + len(needed)
    assert not any("(gd)" in kind and "untrained" in kind for kind in kinds(tmp_path))


@pytest.mark.parametrize(
    "engine", [(), ("--engine", "local:1")], ids=["tests", "local"]
)
def test_labels_are_not_shuffled_where_demonstrations_teach_nothing(
    engine: tuple[str, ...], tmp_path: Path
) -> None:
    grid = ("--models", "untrained_llama", "--datasets", "opinions", "--demos", "4")
    ran = run(tmp_path, "claims/test_labels.py", *grid, *SMALL, *engine)
    assert all("gain of ICL over zero-shot" in row["reason"] for row in ran.rows)
    assert len({key for row in ran.rows for key in row["observations"]}) == 2
    assert ran.run["observations_measured"] == SELF_TESTS + 2


def test_an_engine_that_cannot_start_leaves_the_last_report(tmp_path: Path) -> None:
    kept = tmp_path / "reports" / "results.jsonl"
    kept.parent.mkdir()
    kept.write_text("")
    ran = run(tmp_path, *PLAY, "--engine", "ray:127.0.0.1:1")  # nobody listens there
    assert ran.status == 4
    assert "Ray" in ran.text
    assert "Expected" in ran.text
    assert kept.read_text() == ""
