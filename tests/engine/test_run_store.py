"""The store of a run: whatever befalls it, the run goes on and says so."""

from __future__ import annotations

import errno
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from probes.engine.run_store import RunStore
from probes.engine.store import Store, StoreWarning
from probes.engine.store_inventory import clean
from probes.engine.time_limit import TimeLimit, TimeLimitedObserver
from probes.observations.observation import Observation
from tests.support.slow_learner import Slow, request

KEY = "ab" + "0" * 30


def observation(key: str = KEY) -> Observation:
    return Observation(arrays={"predictions": np.ones((2, 3))}, key=key)


def refusing(number: int) -> Any:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


def in_write(patch: pytest.MonkeyPatch, number: int) -> None:
    """Let the system refuse whatever would write."""
    for name in ("touch", "mkdir", "replace", "unlink"):
        patch.setattr(Path, name, refusing(number))
    patch.setattr("os.fsync", refusing(number))


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_store_that_cannot_be_written_is_read_and_the_run_goes_on(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(tmp_path).put(observation())
    in_write(monkeypatch, number)
    wording = rf"cannot be written: {os.strerror(number)}\..* The run continues"
    with pytest.warns(StoreWarning, match=wording):
        store = RunStore(tmp_path)
    assert store.get(KEY) is not None
    watched = TimeLimitedObserver(store, limit=TimeLimit(None))
    asked = request(Slow(seconds=0.0))
    with warnings.catch_warnings(record=True) as said:
        assert watched.observe(asked) is watched.observe(asked)
    assert said == []  # said once
    assert watched.measured == store.unsaved == {asked.key}


def test_a_disk_that_fills_up_is_reported_once_and_what_was_stored_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RunStore(tmp_path)
    store.put(observation())
    monkeypatch.setattr("os.fsync", refusing(errno.ENOSPC))
    others = ["cd" + "0" * 30, "ef" + "0" * 30]
    with pytest.warns(StoreWarning, match="No space left on device"):
        store.put(observation(others[0]))
    with warnings.catch_warnings(record=True) as said:
        store.put(observation(others[1]))
    assert said == []  # said once
    assert store.unsaved == set(others)
    assert not list(tmp_path.rglob("*.part"))
    monkeypatch.undo()
    store.put(observation(others[0]))  # room again
    assert store.unsaved == {others[1]}
    assert store.get(KEY) is not None


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_an_entry_that_cannot_be_reached_stays_where_it_is(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    store.put(observation())
    monkeypatch.setattr(Path, "read_bytes", refusing(number))
    with pytest.warns(StoreWarning, match="cannot be reached .* It stays"):
        assert store.get(KEY) is None
    monkeypatch.undo()
    assert store.get(KEY) is not None


def test_damage_in_a_store_that_is_only_read_is_reported_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    store.path(KEY).parent.mkdir()
    store.path(KEY).write_bytes(b"torn")
    monkeypatch.setattr(Path, "replace", refusing(errno.EROFS))
    with pytest.warns(StoreWarning, match="cannot be set aside .* measured again"):
        assert store.get(KEY) is None
    assert store.path(KEY).exists()


def test_a_write_that_was_swept_away_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, swept = Store(tmp_path), []

    def sweep(_: int) -> None:  # another run, whose clock is a day ahead
        if not swept:
            swept.extend(clean(store, older_than=-86_400.0))

    monkeypatch.setattr("os.fsync", sweep)
    store.put(observation())
    assert [path.suffix for path in swept] == [".part"]
    assert store.get(KEY) is not None


def test_a_file_system_without_locks_is_measured_on_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unlockable(*_: object, **__: object) -> None:
        raise NotImplementedError("no flock here")

    monkeypatch.setattr("filelock.FileLock.acquire", unlockable)
    store = RunStore(tmp_path)
    limited = TimeLimitedObserver(store, limit=TimeLimit(None))
    with pytest.warns(StoreWarning, match="cannot hold a lock: no flock here"):
        limited.observe(request(Slow(seconds=0.0)))
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1


def test_a_store_that_cannot_be_made_is_held_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.warns(StoreWarning, match="Not a directory"):
        store = RunStore(tmp_path / "file" / "store")
    with warnings.catch_warnings(record=True) as said:
        watched = TimeLimitedObserver(store, limit=TimeLimit(None))
        watched.observe(request(Slow(seconds=0.0)))
    assert said == []
    assert len(watched.measured) == 1
