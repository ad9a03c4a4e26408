"""What a store holds: listed, verified, exported, pruned and cleaned."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from probes.cli.main import main
from probes.engine.store import Store, StoreWarning
from probes.engine.store_inventory import (
    clean,
    list_observations,
    parse_size,
    prune,
    verify,
)
from probes.errors import OptionError, StoreError
from probes.observations.observation import Observation
from tests.support.running import run

KEYS = tuple(f"{i:02x}" + "0" * 30 for i in range(4))
LONG_AGO = time.time() - 10_000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Four observations, each last used a second after the one before."""
    made = Store(tmp_path / "store")
    for age, key in enumerate(KEYS):
        made.put(Observation(arrays={"predictions": np.ones((2, 3))}, key=key))
        os.utime(made.path(key), (LONG_AGO + age, LONG_AGO + age))
    return made


def age(path: Path) -> Path:
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def damage(store: Store, key: str) -> None:
    path = store.path(key)
    path.write_bytes(path.read_bytes()[:-3])


def test_least_recently_used_is_pruned_first(store: Store) -> None:
    assert store.get(KEYS[0]) is not None  # now the most recently used
    each = list_observations(store)[0].n_bytes
    removed = prune(store, 2 * each)
    assert [entry.key for entry in removed] == [KEYS[1], KEYS[2]]
    assert [entry.key for entry in list_observations(store)] == [KEYS[3], KEYS[0]]


def test_store_within_its_limit_loses_nothing(store: Store) -> None:
    assert prune(store, sum(entry.n_bytes for entry in list_observations(store))) == []
    assert len(list_observations(store)) == 4


def test_observation_that_is_held_is_not_pruned(store: Store) -> None:
    with store.locked(KEYS[0]):
        removed = prune(store, 0)
    assert [entry.key for entry in removed] == list(KEYS[1:])


def test_observation_pruned_while_it_is_read_is_none_and_not_damaged(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.path(KEYS[0]).unlink()
    monkeypatch.setattr(Path, "exists", lambda path: True)
    with warnings.catch_warnings(record=True) as said:
        assert store.get(KEYS[0]) is None
    assert said == []


def test_verify_sets_aside_only_what_is_not_whole(store: Store) -> None:
    damage(store, KEYS[2])
    with warnings.catch_warnings(record=True) as said:
        assert verify(store) == [KEYS[2]]
    assert [w.category for w in said] == [StoreWarning]
    assert store.path(KEYS[2]).with_suffix(".damaged").exists()
    assert len(list_observations(store)) == 3


def test_what_killed_runs_left_is_cleaned(store: Store) -> None:
    half = store.path(KEYS[0]).with_suffix(".123.part")
    lock = store.path(KEYS[0]).with_suffix(".lock")
    progress = store.folder / "run-0123"
    progress.mkdir()
    for path in (half, lock, progress / "main.json"):
        path.touch()
    left = {age(half), age(lock), age(progress)}
    assert set(clean(store)) == left
    assert not any(path.exists() for path in left)
    assert len(list_observations(store)) == 4


def test_what_runs_still_use_is_not_cleaned(store: Store) -> None:
    fresh = store.path(KEYS[1]).with_suffix(".123.part")
    fresh.write_bytes(b"half")
    with store.locked(KEYS[0]):
        age(store.path(KEYS[0]).with_suffix(".lock"))
        assert clean(store) == []
    assert fresh.exists()


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [("17", 17), ("5K", 5000), ("2g", 2 * 10**9), ("3MB", 3 * 10**6)],
)
def test_sizes_are_read(text: str, n_bytes: int) -> None:
    assert parse_size(text) == n_bytes


@pytest.mark.parametrize("text", ["", "-1", "1.5G", "G", "1X", "٣M", "1 G"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"is not a size\. Expected a whole number"):
        parse_size(text)


def test_command_lists_and_exports(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["store", "--store", str(store.folder), "list"]) == 0
    assert "4 observations" in capsys.readouterr().out
    assert (
        main(["store", "--store", str(store.folder), "export", str(tmp_path / "copy")])
        == 0
    )
    assert [e.key for e in list_observations(Store(tmp_path / "copy"))] == list(KEYS)


def described(store: Store, key: str, model: str, learner: str) -> None:
    request = {"learner": learner, "model": model, "dataset": "sst2"}
    request |= {"demonstrations": 4, "view": "order 1"}
    observation = Observation(
        arrays={"predictions": np.ones((2, 3))}, facts={"request": request}, key=key
    )
    store.put(observation)


def test_command_lists_what_observations_answer_and_sums_up_by_model(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    described(store, KEYS[0], "small", "InContext")
    described(store, KEYS[1], "large", "GradientLearner gd W_V@last")
    assert main(["store", "--store", str(store.folder), "list"]) == 0
    text = capsys.readouterr().out
    assert "small  sst2  InContext  4 demonstrations order 1" in text
    assert text.count("no description (an older version stored it)  ") == 2
    assert "\nlarge: 1 observations, " in text
    assert "\nno description (an older version stored it): 2 observations, " in text


@pytest.mark.parametrize(
    ("option", "name", "kept"),
    [
        ("--model", "large", KEYS[1]),
        ("--learner", "GradientLearner", KEYS[1]),
        ("--model", "small", KEYS[0]),
    ],
)
def test_command_filters(
    store: Store,
    capsys: pytest.CaptureFixture[str],
    option: str,
    name: str,
    kept: str,
) -> None:
    described(store, KEYS[0], "small", "InContext")
    described(store, KEYS[1], "large", "GradientLearner gd W_V@last")
    asked = ["store", "--store", str(store.folder)]
    assert main([*asked, "list", option, name]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].endswith(kept)
    assert main([*asked, "prune", "--limit", "0", option, name]) == 0
    left = {entry.key for entry in list_observations(store)}
    assert left == set(KEYS) - {kept}
    assert main([*asked, "list", "--dataset", "trec"]) == 0
    assert "0 observations, 0 bytes" in capsys.readouterr().out


def test_command_verifies_and_prunes(store: Store) -> None:
    damage(store, KEYS[3])
    asked = ["--store", str(store.folder)]
    with pytest.warns(StoreWarning, match="set aside"):
        assert main(["store", *asked, "verify"]) == 1
    assert main(["store", *asked, "verify"]) == 0
    assert main(["store", *asked, "prune", "--limit", "0"]) == 0
    assert list_observations(store) == []


def test_command_says_where_no_store_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["store", "--store", str(tmp_path / "none"), "list"]) == 4
    assert "Expected the store of earlier runs" in capsys.readouterr().err


@pytest.mark.parametrize(
    "key", ["../" * 8 + "etc/passwd", "/etc/passwd", KEYS[0] + "\0", KEYS[0] + "\n", ""]
)
def test_key_that_could_leave_the_store_is_refused(store: Store, key: str) -> None:
    with pytest.raises(StoreError, match="is not a key of a store"):
        store.get(key)


def test_foreign_file_is_left_alone(store: Store) -> None:
    foreign = store.path(KEYS[0]).with_name("mine.safetensors")
    foreign.write_bytes(b"mine")
    assert verify(store) == []
    prune(store, 0)
    assert foreign.read_bytes() == b"mine"


def test_run_prunes_its_store_to_the_limit(tmp_path: Path) -> None:
    grid = ["--models", "constructed_gd_1", "--datasets", "linear", "--demos", "10"]
    ran = run(tmp_path, "claims/test_order.py", *grid, "--store-limit", "5K")
    held = list_observations(Store(tmp_path / "store"))
    assert ran.status == 0, ran.text
    assert ran.run["complete"]
    assert sum(entry.n_bytes for entry in held) <= 5000


def test_run_refuses_a_limit_that_is_no_size(tmp_path: Path) -> None:
    ran = run(tmp_path, "claims/test_order.py", "--store-limit", "much")
    assert ran.status == 4
    assert "--store-limit: 'much' is not a size" in ran.text
