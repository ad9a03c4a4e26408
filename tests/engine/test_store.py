"""The store and the observer: nothing lost, nothing wrong, nothing measured twice."""

from __future__ import annotations

import errno
import importlib.util
import multiprocessing
import shutil
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from probes.cards import Checkpoint, LinearTasks, ModelCard, TextRows
from probes.cell import Settings
from probes.engine.observer import Observer
from probes.engine.store import Store, StoreWarning
from probes.errors import NumericsError, ShapeError, StoreError
from probes.observations.observation import Observation
from probes.observations.request import LearnerContext, Request
from tests.support.cards import SPEC, dataset, network
from tests.support.sources import forget_sources

KEY = "ab" + "0" * 30
OTHER = "cd" + "0" * 30


@dataclass(frozen=True, kw_only=True)
class Counting:
    """Answers numbers, and notes in a file each time it had to."""

    counter: str
    answer: float = 1.0
    needs_model: bool = False

    def observe(self, context: LearnerContext) -> Observation:
        with Path(self.counter).open("a") as file:
            file.write("x")
        sizes = context.request.settings
        values = np.full((sizes.n_sets, sizes.n_queries), self.answer)
        return Observation(arrays={"predictions": values}, facts={"rate": 0.1})


def ask(folder: Path, counter: Path, answer: float = 1.0) -> Observation:
    learner = Counting(counter=str(counter), answer=answer)
    return Observer(Store(folder)).observe(request(learner=learner))


def ask_at_once(folder: Path, counter: Path, ready: Any) -> None:
    """Wait for the other processes, then ask."""
    ready.wait(timeout=60)
    ask(folder, counter)


def request(**changes: Any) -> Request:
    found = Request(
        learner=Counting(counter="nowhere"),
        model=network("gd_1"),
        dataset=dataset("linear", family="regression", rows=LinearTasks(n_inputs=4)),
        n_demonstrations=4,
        settings=Settings(n_sets=2, n_queries=3),
    )
    return replace(found, **changes)


def observation(key: str = KEY) -> Observation:
    return Observation(
        arrays={
            "log_probs": np.arange(6, dtype=np.float32).reshape(1, 2, 3),
            "gold": np.array([[0, 1]], dtype=np.int64),
        },
        facts={"rate": 0.125, "label_tokens": [3, 4], "losses": [[1.5, None]]},
        key=key,
    )


def same(one: Observation, other: Observation) -> bool:
    return (
        one.key == other.key
        and one.facts == other.facts
        and one.arrays.keys() == other.arrays.keys()
        and all(
            a.dtype == other.arrays[name].dtype
            and np.array_equal(a, other.arrays[name])
            for name, a in one.arrays.items()
        )
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Make a store with one observation."""
    made = Store(tmp_path / "store")
    made.put(observation())
    return made


# --------------------------------------------------------------------------- store


THEIRS = """
from dataclasses import dataclass

@dataclass(frozen=True, kw_only=True)
class Theirs:
    needs_model: bool = False
"""


def test_a_learner_of_another_repository_is_keyed_by_its_own_code_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def key(source: str) -> str:
        path = tmp_path / "theirs.py"
        path.write_text(source)
        spec = importlib.util.spec_from_file_location("theirs", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "theirs", module)
        spec.loader.exec_module(module)
        forget_sources()
        return request(learner=module.Theirs()).key

    assert key(THEIRS) == key(THEIRS + "# a comment") != key(THEIRS + "other = 1")


def test_what_is_put_is_what_is_got(store: Store) -> None:
    found = store.get(KEY)
    assert found is not None
    assert same(found, observation())
    assert KEY in store


def test_observation_without_arrays_keeps_its_facts(store: Store) -> None:
    chosen = Observation(arrays={}, facts={"rate": 1.0, "passes": 4}, key=OTHER)
    store.put(chosen)
    found = store.get(OTHER)
    assert found is not None
    assert same(found, chosen)


def test_arrays_in_any_memory_layout_are_kept(store: Store) -> None:
    turned = np.arange(12.0).reshape(3, 4).T[::2]
    store.put(Observation(arrays={"predictions": turned}, key=OTHER))
    found = store.get(OTHER)
    assert found is not None
    assert (found["predictions"] == turned).all()


def test_unknown_key_is_none(store: Store) -> None:
    assert store.get(OTHER) is None
    assert OTHER not in store


def test_second_put_replaces_the_first(store: Store) -> None:
    store.put(replace(observation(), facts={"rate": 2.0}))
    found = store.get(KEY)
    assert found is not None
    assert found.facts == {"rate": 2.0}


def test_another_process_reads_the_store(store: Store) -> None:
    found = Store(store.folder).get(KEY)
    assert found is not None
    assert same(found, observation())


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def flip_last_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def swap_key(path: Path) -> None:
    Store(path.parent.parent).put(observation(OTHER))
    path.write_bytes((path.parent.parent / "cd" / f"{OTHER}.safetensors").read_bytes())


DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": truncate,
    "bit-flipped": flip_last_bit,
    "of another key": swap_key,
    "empty": lambda path: path.write_bytes(b""),
    "no safetensors": lambda path: path.write_text("hello"),
    "huge header": lambda path: path.write_bytes(b"\xff" * 64),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_entry_is_set_aside_and_measured_again(
    store: Store, damage: str
) -> None:
    DAMAGES[damage](store.path(KEY))
    with pytest.warns(StoreWarning, match=f"{KEY} cannot be read .* measured again"):
        assert store.get(KEY) is None
    assert KEY not in store
    assert store.path(KEY).with_suffix(".damaged").exists()
    store.put(observation())
    assert store.get(KEY) is not None


def test_no_flipped_bit_of_the_arrays_goes_unnoticed(store: Store) -> None:
    whole = store.path(KEY).read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")  # safetensors: length, header, data
    for place in range(start, len(whole)):
        content = bytearray(whole)
        content[place] ^= 1 << place % 8
        store.path(KEY).write_bytes(content)
        with pytest.warns(StoreWarning, match="checksum"):
            assert store.get(KEY) is None


def test_no_flipped_bit_of_an_entry_changes_what_is_read(store: Store) -> None:
    whole = store.path(KEY).read_bytes()
    for bit in range(0, 8 * len(whole), 7):  # 7 and 8 share no factor: every place
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        store.path(KEY).write_bytes(content)
        with warnings.catch_warnings(record=True):
            found = store.get(KEY)
        assert found is None or same(found, observation()), bit


def test_damage_is_reported_and_never_raised(store: Store) -> None:
    truncate(store.path(KEY))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("error")  # as in this repository's pytest settings
        assert store.get(KEY) is None
    assert [warning.category for warning in said] == [StoreWarning]


def test_store_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    wording = r"The store .*file/store cannot be written: Not a directory\. Expected a"
    with pytest.raises(StoreError, match=wording):
        Store(tmp_path / "file" / "store")


def test_read_only_folder_cannot_be_a_store(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        (tmp_path / "probe").touch()
    except PermissionError:
        wording = r"cannot be written: Permission denied\. .* Pass --store FOLDER\."
        with pytest.raises(StoreError, match=wording):
            Store(tmp_path)
    else:
        pytest.skip("this user may write anywhere; run the tests as another than root")
    finally:
        tmp_path.chmod(0o700)


def test_full_disk_loses_nothing_and_leaves_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    wording = (
        r"cannot keep \d+ bytes: No space left on device\. .* stored before is saf"
    )
    with pytest.raises(StoreError, match=wording):
        store.put(observation(OTHER))
    assert store.get(OTHER) is None
    assert store.get(KEY) is not None
    assert not list(store.folder.rglob("*.part"))


def test_full_disk_while_writing_leaves_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        store.put(observation(OTHER))
    assert not list(store.folder.rglob("*.part"))
    assert OTHER not in store


def test_full_disk_is_reported_before_anything_is_measured(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    wording = r"cannot hold a lock: No space left on device\. .* pass --store FOLDER\."
    with pytest.raises(StoreError, match=wording), store.locked(OTHER):
        pytest.fail("the key is held")


# ------------------------------------------------------------------------ observer


def test_observation_is_made_once(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    observer = Observer(Store(tmp_path / "store"))
    asked = request(learner=Counting(counter=str(counter)))
    assert observer.observe(asked) is observer.observe(asked)
    assert counter.read_text() == "x"
    assert (observer.measured, observer.reused) == ({asked.key}, set())


def test_observation_outlives_its_process(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    first, second = (ask(tmp_path / "store", counter) for _ in range(2))
    assert same(first, second)
    assert counter.read_text() == "x"


def test_damaged_observation_is_made_again(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    first = ask(tmp_path / "store", counter)
    truncate(Store(tmp_path / "store").path(first.key))
    with pytest.warns(StoreWarning):
        second = ask(tmp_path / "store", counter)
    assert (first["predictions"] == second["predictions"]).all()
    assert counter.read_text() == "xx"


def test_two_processes_that_ask_at_once_measure_once(tmp_path: Path) -> None:
    spawn, counter = multiprocessing.get_context("spawn"), tmp_path / "counter"
    ready = spawn.Barrier(2)
    workers = [
        spawn.Process(target=ask_at_once, args=(tmp_path / "store", counter, ready))
        for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert counter.read_text() == "x"


@pytest.mark.parametrize("answer", [np.nan, np.inf, -np.inf])
def test_answer_that_is_no_number_is_refused_and_not_kept(
    tmp_path: Path, answer: float
) -> None:
    wording = r"Counting on gd_1 answered 6 NaN or infinite predictions\. Expected fin"
    with pytest.raises(NumericsError, match=wording):
        ask(tmp_path / "store", tmp_path / "counter", answer)
    assert not list((tmp_path / "store").rglob("*.safetensors"))


def test_request_is_announced_only_when_it_is_measured(tmp_path: Path) -> None:
    said: list[Request] = []
    asked = request(learner=Counting(counter=str(tmp_path / "counter")))
    for _ in range(2):
        Observer(Store(tmp_path / "store"), announce=said.append).observe(asked)
    assert said == [asked]


def test_observation_names_what_it_has(store: Store) -> None:
    found = store.get(KEY)
    assert found is not None
    with pytest.raises(
        ShapeError, match=r"has no 'answers'; it has \['gold', 'log_pro"
    ):
        found["answers"]


# ------------------------------------------------------------------------ keys

LINEAR = LinearTasks(n_inputs=4)
SIZES = {
    "n_sets": 4, "n_queries": 4, "n_calibration": 4, "seed": 1, "device": "cuda",
    "dtype": "float64",
}  # fmt: skip
TASKS = {
    "n_inputs": 5, "input_scale": 0.5, "condition": 2.0, "noise": 0.1,
    "teacher_mean": 1.0, "teacher_scale": 2.0, "inputs": "normal",
}  # fmt: skip
WEIGHTS = {
    "algorithm": "gdpp", "n_inputs": 5, "n_layers": 2, "rate": 0.2, "shrinkage": 0.1,
    "spoiled_by": 1e-3,
}  # fmt: skip
VIEWS = {
    "order": 1, "draw": 1, "labels": "shuffled", "wording": "unrelated",
    "queries": "calibration", "n_demonstrations": 5,
}  # fmt: skip
MODEL = request().model
ASKED = request(learner=Counting(counter="", needs_model=True), model=MODEL)


def changed() -> dict[str, Request]:
    """Change each field that an answer depends on, one at a time."""
    data, sizes = ASKED.dataset, ASKED.settings
    found = {name: replace(ASKED, **{name: value}) for name, value in VIEWS.items()}
    for name, value in SIZES.items():
        found[name] = replace(ASKED, settings=replace(sizes, **{name: value}))
    for name, value in TASKS.items():
        rows = replace(LINEAR, **{name: value})
        found[f"tasks.{name}"] = replace(ASKED, dataset=replace(data, rows=rows))
    for name, value in WEIGHTS.items():
        model = replace(MODEL, weights=replace(SPEC, **{name: value}))
        found[f"weights.{name}"] = replace(ASKED, model=model)
    declared = replace(MODEL, declared=(("gd", (0.1,)),))
    found["declared"] = replace(ASKED, model=declared)
    found["n_layers"] = replace(ASKED, model=replace(MODEL, n_layers=3))
    other = replace(ASKED.learner, answer=2.0)  # type: ignore[type-var]
    found["learner"] = replace(ASKED, learner=other)
    return found


def test_key_changes_with_everything_that_an_answer_depends_on() -> None:
    keys = {name: asked.key for name, asked in changed().items()}
    assert len({ASKED.key, *keys.values()}) == len(keys) + 1


def test_key_is_that_of_the_content_and_not_of_the_names() -> None:
    renamed = replace(
        ASKED,
        model=replace(MODEL, name="other", summary="Other.", shipped=True),
        dataset=replace(ASKED.dataset, name="else", summary="Else."),
        settings=replace(ASKED.settings, n_orders=4, data_dir="/somewhere"),
    )
    assert renamed.key == ASKED.key


def test_learner_without_a_model_has_one_key_for_all_models() -> None:
    learner = Counting(counter="")
    other = replace(MODEL, weights=replace(SPEC, rate=0.7))
    keys = {request(learner=learner, model=model).key for model in (MODEL, other)}
    assert len(keys) == 1


def rows_in(folder: Path, label: str = "good") -> Request:
    folder.mkdir()
    for split in ("train", "test"):
        line = '{"text": "%s", "label": "%s"}\n'
        text = line % (split, label) + line % (split, "bad")
        (folder / f"{split}.jsonl").write_text(text)
    card = dataset("moods", rows=TextRows(location=folder.name))
    sizes = Settings(data_dir=str(folder.parent))
    return replace(ASKED, dataset=card, settings=sizes)


def test_key_of_rows_does_not_depend_on_their_folder(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    asked = rows_in(here / "moods")
    shutil.copytree(here, there)
    moved = replace(asked, settings=replace(asked.settings, data_dir=str(there)))
    assert moved.key == asked.key


def test_key_of_rows_changes_with_a_row(tmp_path: Path) -> None:
    one, other = rows_in(tmp_path / "a", "good"), rows_in(tmp_path / "b", "fine")
    assert one.key != other.key


def test_key_of_rows_changes_with_the_template(tmp_path: Path) -> None:
    asked = rows_in(tmp_path / "a")
    assert isinstance(asked.dataset.rows, TextRows)
    paths = [tmp_path / f"{name}.toml" for name in ("one", "other", "same")]
    for path, query in zip(paths, ("A: {text}", "B: {text}", "B: {text}"), strict=True):
        path.write_text(f'[template]\nquery = "{query}"\n')
    templates = tuple((path.stem, str(path)) for path in paths)
    card = replace(asked.dataset, rows=replace(asked.dataset.rows, templates=templates))
    keys = {
        name: replace(asked, dataset=card.with_template(name)).key
        for name, _ in templates
    }
    assert asked.key != keys["one"] != keys["other"] == keys["same"]


def folder_of_weights(folder: Path, weights: bytes) -> ModelCard:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    return replace(MODEL, weights=Checkpoint(location=str(folder)), kind="pretrained")


def test_key_of_a_checkpoint_is_its_content(tmp_path: Path) -> None:
    made = {"a": b"same", "b": b"same", "c": b"other"}
    cards = [folder_of_weights(tmp_path / name, data) for name, data in made.items()]
    one, copy, other = (replace(ASKED, model=card).key for card in cards)
    assert one == copy != other
