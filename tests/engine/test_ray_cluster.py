"""The Ray engine on this machine; ``make faults`` plays it on two nodes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from probes.engine.store import Store
from probes.engine.worker import WorkerSettings
from probes.errors import EngineError
from tests.support.engines import attempts, by_key, scripts

pytestmark = pytest.mark.skipif(
    find_spec("ray") is None, reason="the extra ray is not installed"
)


@pytest.fixture(autouse=True)
def a_token_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray reads these once, when it is first imported; else it writes to ~/.ray."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Any]:
    from probes.engine.ray_cluster import RayCluster

    (tmp_path / "mark").mkdir()
    folders = {"store": tmp_path / "store", "marker": tmp_path / "mark"}
    settings = WorkerSettings.of_this_process(**folders, seconds=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray warns of settings to come
        made = RayCluster("local", settings=settings)
        yield made
        made.close()


def test_a_plan_is_measured_whatever_its_actors_die_of(
    cluster: Any, tmp_path: Path
) -> None:
    plan = scripts(tmp_path, {}, {"deaths": 1}, {"deaths": 99}, {"fails": True}, {})
    found = by_key(cluster.measure(plan))
    errors = [found[r.key].error for r in plan]
    assert [error and error[0] for error in errors] == [
        None, None, "EngineError", "NumericsError", None,
    ]  # fmt: skip
    store = Store(tmp_path / "store")
    assert [store.get(r.key) is not None for r in plan] == [
        True, True, False, False, True,
    ]  # fmt: skip
    assert attempts(tmp_path).count("2.0") == 3


def test_a_cluster_that_is_not_there_is_an_error() -> None:
    from probes.engine.ray_cluster import RayCluster

    settings = WorkerSettings(store="s", marker="m", seconds=None, path=())
    with pytest.raises(EngineError, match="There is no Ray cluster at 127.0.0.1:1"):
        RayCluster("127.0.0.1:1", settings=settings)
