"""Engines: a plan measured by workers that may die, each observation once."""

from __future__ import annotations

import io
import json
import math
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from probes.cards import Checkpoint
from probes.engine import work_queue, worker_resources
from probes.engine.engine_choice import EngineChoice, parse_engine, parse_shard
from probes.engine.local_pool import LocalPool
from probes.engine.protocol import RequestResult, given_up, receive, send
from probes.engine.request_json import request_from_json, request_to_json
from probes.engine.store import Store
from probes.engine.work_queue import (
    LARGE,
    WorkQueue,
    in_plan_order,
    model_bytes_by_group,
    model_group,
    shard_of,
    shared_model_limit,
    workers_that_fit,
)
from probes.engine.worker import WorkerSettings
from probes.errors import EngineError, NumericsError, OptionError
from probes.learners import GradientLearner
from probes.learners.rate_choice import RateChoice
from probes.learners.search_effort import SearchEffort
from probes.measures import Equal, Nearest
from probes.observations.request import Request
from tests.support.cards import network
from tests.support.engines import Scripted, attempts, by_key, request, scripts


def asked(*models: str) -> list[Request]:
    return [request(m, number=float(i)) for i, m in enumerate(models)]


# ---------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("local", EngineChoice(name="local")),
        ("local:3", EngineChoice(name="local", n_workers=3)),
        ("ray", EngineChoice(name="ray")),
        ("ray:10.0.0.1:6379", EngineChoice(name="ray", address="10.0.0.1:6379")),
    ],
)
def test_engines_are_read(text: str, choice: EngineChoice) -> None:
    assert parse_engine(text) == choice


@pytest.mark.parametrize(
    "text",
    ["", "dask", "local:", "local:0", "local:x", "local:٣", "local:9999", "ray:"],
)
def test_what_is_no_engine_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"--engine is .* Expected local, local:N"):
        parse_engine(text)


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "-1/2", "1/0", "a/b", "1/2/3"])
def test_what_is_no_part_of_a_plan_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"--shard is .* Expected i/n"):
        parse_shard(text)
    assert parse_shard("2/3") == (2, 3)


# ---------------------------------------------------------------------- what is sent


def test_a_request_is_the_same_after_it_was_sent() -> None:
    criteria = (Equal(quantity="loss"), Nearest(measure="token_overlap"))
    gd = GradientLearner(
        weights="W_V@middle",
        criterion=criteria[1],
        criteria=criteria,
        effort=SearchEffort(passes=8, total=2**60),
    )
    one = replace(request(), learner=RateChoice(of=gd), queries="calibration")
    found = request_from_json(request_to_json(one))
    assert found == one
    assert found.kind == one.kind


@pytest.mark.parametrize(
    "named",
    [
        "os:system",
        "nowhere:X",
        "probes.observations.request:code_of",
        "builtins:dict",
    ],
)
def test_nothing_but_dataclasses_can_be_sent(named: str) -> None:
    with pytest.raises(EngineError, match=f"cannot build {named}"):
        request_from_json(json.dumps({"class": named, ".x": 1}))


def test_a_dataclass_that_is_no_request_is_refused() -> None:
    with pytest.raises(EngineError, match="cannot build probes.learners"):
        request_from_json('{"class": "probes.learners.in_context:InContext"}')


def test_a_setting_that_cannot_be_sent_is_an_error() -> None:
    with pytest.raises(EngineError, match="cannot be sent to a worker"):
        request_to_json(replace(request(), learner=Scripted(number=1.0, log=Path("x"))))  # type: ignore[arg-type]


def test_an_answer_is_the_same_after_it_was_sent() -> None:
    result = RequestResult(
        key="k", measured=("k", "j"), n_forward=3, entries=(("k", b"\0\xff"),)
    )
    pipe = io.BytesIO()
    send(pipe, *result.to_frame())
    pipe.seek(0)
    frame = receive(pipe)
    assert frame is not None
    assert RequestResult.from_frame(*frame) == result
    assert receive(pipe) is None


def test_a_torn_frame_is_the_end() -> None:
    pipe = io.BytesIO()
    send(pipe, "text", [b"blob"])
    for length in range(len(pipe.getvalue())):
        assert receive(io.BytesIO(pipe.getvalue()[:length])) is None


def test_noise_in_the_pipe_is_an_error() -> None:
    with pytest.raises(EngineError, match="Expected at most"):
        receive(io.BytesIO(b"\xff" * 64))


def test_an_error_of_ours_comes_back_as_it_was() -> None:
    fault = RequestResult(key="k", error=("NumericsError", "said")).probes_error
    assert isinstance(fault, NumericsError)
    assert str(fault) == "said"
    assert (
        RequestResult(key="k", error=("ZeroDivisionError", "a bug")).probes_error
        is None
    )
    assert isinstance(given_up(request(), 3, "said").probes_error, EngineError)


# ------------------------------------------------------------------------- work queue


def test_equal_requests_wait_once_and_models_stay_together() -> None:
    plan = asked("b", "a", "b", "a")
    assert [r.model.name for r in in_plan_order([*plan, *plan])] == ["a", "a", "b", "b"]


def test_an_untrained_copy_waits_with_its_model() -> None:
    copy = replace(request(), model=network("untrained:a"))
    assert model_group(copy) == model_group(request("a"))


def queue_of(plan: list[Request], **sizes: float) -> WorkQueue[Request]:
    return WorkQueue(in_plan_order(plan), model_group, sizes=sizes, shared_limit=99.0)


def names(work: WorkQueue[Request], *workers: str) -> list[str]:
    """Let workers take, and tell of which model they took."""
    taken = [work.take(worker) for worker in workers]
    return ["" if r is None else r.model.name for r in taken]


def test_each_worker_takes_a_model_of_its_own_first() -> None:
    work = queue_of(asked("a", "a", "a", "b", "b"))
    assert names(work, "x", "y", "x", "x") == ["a", "b", "a", "a"]


def test_most_work_is_taken_first() -> None:
    assert names(queue_of(asked("a", "a", "b")), "x") == ["a"]
    assert names(queue_of(asked("a", "a", "b"), b=3.0), "x") == ["b"]
    assert names(queue_of(asked("a", "a", "b"), b=math.inf), "x") == ["b"]


def test_a_free_worker_helps_with_the_largest_group_from_its_end() -> None:
    plan = asked("a", "a", "a", "a", "a")
    work, order = queue_of(plan), in_plan_order(plan)
    taken = [work.take(worker) for worker in "xyxyx"]
    assert taken == [order[i] for i in (0, -1, 1, -2, 2)]


def test_nobody_helps_with_a_large_model() -> None:
    work = queue_of(asked("a", "a", "a", "b"), a=100.0)
    assert names(work, "x", "y", "y", "x") == ["a", "b", "", "a"]
    work.release("x")
    assert names(work, "y", "x") == ["a", ""]


def test_a_model_of_unknown_size_is_taken_to_be_large(tmp_path: Path) -> None:
    hub = network("hub", weights=Checkpoint(location="who/what"))
    (tmp_path / "model.safetensors").write_bytes(b"no header")
    torn = network("torn", weights=Checkpoint(location=str(tmp_path)))
    known = network("known", n_parameters=10)
    copy = network("untrained:copy", n_parameters=20)
    found = model_bytes_by_group([known, hub, torn, copy])
    assert found == {"known": 80, "hub": math.inf, "torn": math.inf, "copy": 160}


def test_only_workers_with_gpus_of_their_own_may_all_load_a_large_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert shared_model_limit("cuda", 2) == math.inf
    assert shared_model_limit("cuda", 3) == shared_model_limit("cuda:1", 2) == LARGE
    assert shared_model_limit("auto", 1) == LARGE


@pytest.mark.parametrize(("free", "limit"), [(None, LARGE), (28e9, 2e9), (7e9, 0.5e9)])
def test_workers_on_the_cpu_share_a_model_that_fits_twice(
    free: float | None, limit: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_queue, "free_ram", lambda: free)
    assert shared_model_limit("cpu", 2) == limit


@pytest.mark.parametrize(
    ("free", "n_workers"), [(None, 4), (28e9, 4), (16e9, 2), (7e9, 1), (1e9, 1)]
)
def test_as_many_workers_as_can_train_the_largest_model(
    free: float | None, n_workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_XDIST_AUTO_NUM_WORKERS", raising=False)
    monkeypatch.setattr(worker_resources, "count_cores", lambda: 4)
    monkeypatch.setattr(work_queue, "free_ram", lambda: free)
    large = network("large", n_parameters=125_000_000)
    of_unknown_size = network("hub", weights=Checkpoint(location="who/what"))
    models = [network("small", n_parameters=10), of_unknown_size, large]
    assert workers_that_fit(models, "cpu") == n_workers
    assert workers_that_fit([of_unknown_size], "cpu") == 4
    assert workers_that_fit(models, "cuda:1") == 1
    monkeypatch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "3")  # somebody knows better
    assert workers_that_fit(models, "cpu") == 3


def test_what_is_given_back_is_taken_again_and_nothing_is_lost() -> None:
    plan = asked("a", "a", "b")
    work = queue_of(plan)
    first = work.take("x")
    assert first is not None
    work.give_back(first)
    taken = [work.take("x") for _ in range(3)]
    assert {r.key for r in taken if r} == {r.key for r in plan}
    assert work.take("x") is None
    assert len(work) == 0


@pytest.mark.parametrize("total", [1, 2, 3, 7, 20])
def test_the_parts_of_a_plan_are_the_plan(total: int) -> None:
    plan = asked(*"aaabbbbcccccc")
    parts = [shard_of(plan[::-1], number, total) for number in range(1, total + 1)]
    assert [r for part in parts for r in part] == in_plan_order(plan)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


# ------------------------------------------------------------------------- local pool


@pytest.fixture
def place(tmp_path: Path) -> WorkerSettings:
    store, mark = tmp_path / "store", tmp_path / "mark"
    mark.mkdir()
    return WorkerSettings.of_this_process(store=store, marker=mark, seconds=None)


@pytest.fixture
def pools(place: WorkerSettings, tmp_path: Path) -> Iterator[Any]:
    made: list[LocalPool] = []

    def make(n_workers: int, **changes: Any) -> LocalPool:
        settings = replace(place, **changes)
        made.append(LocalPool(n_workers, settings=settings, logs=tmp_path))
        return made[-1]

    yield make
    for pool in made:
        pool.close()


def test_a_plan_is_measured_whatever_its_workers_die_of(
    pools: Any, tmp_path: Path
) -> None:
    plan = scripts(tmp_path, {}, {"deaths": 1}, {"deaths": 99}, {"fails": True}, {})
    pool = pools(2)
    found = by_key(pool.measure(plan))
    store = Store(tmp_path / "store")
    errors = [found[r.key].error for r in plan]
    assert [error and error[0] for error in errors] == [
        None, None, "EngineError", "NumericsError", None,
    ]  # fmt: skip
    assert [store.get(r.key) is not None for r in plan] == [
        True, True, False, False, True,
    ]  # fmt: skip
    assert pool.n_deaths == 4
    assert attempts(tmp_path) == ["0.0", *["1.0"] * 2, *["2.0"] * 3, "3.0", "4.0"]


def test_what_cannot_be_stored_is_sent(pools: Any, tmp_path: Path) -> None:
    plan = scripts(tmp_path, {})
    (result,) = pools(1, marker=str(tmp_path / "elsewhere")).measure(plan)
    ((key, data),) = result.entries
    assert key == plan[0].key
    assert len(data) > 100
    assert not (tmp_path / "store").exists()


def test_workers_that_do_not_start_end_the_engine(pools: Any, tmp_path: Path) -> None:
    pool = pools(1)
    pool.settings = replace(pool.settings, seconds=-1.0)
    with pytest.raises(EngineError, match="5 workers in a row did not start"):
        list(pool.measure(scripts(tmp_path, {})))


def test_a_worker_of_the_last_plan_ends_without_the_one_in_its_place(
    pools: Any,
) -> None:
    pool, newer = pools(2), mock.Mock()
    pool._start = lambda index, log: mock.Mock()
    pool._configure = lambda process, log: True
    pool._alive = {1: newer}
    pool._run_worker(1, None, None)
    assert pool._alive == {1: newer}


def test_closing_holds_while_a_worker_ends(pools: Any) -> None:
    """Else the dictionary of workers changes while it is read, and the run is lost."""
    pool, ending, second = pools(2), list[threading.Thread](), mock.Mock()
    pool._start = lambda index, log: second
    pool._configure = lambda process, log: True

    def end_another() -> None:
        ended = threading.Thread(target=pool._run_worker, args=(1, None, None))
        ended.start()
        ended.join(timeout=0.2)
        ending.append(ended)

    first = mock.Mock()
    first.kill.side_effect = end_another
    pool._alive = {0: first, 1: second, 2: mock.Mock()}
    pool.close()
    ending[0].join(timeout=5.0)
    assert list(pool._alive) == [0, 2]
    first.kill.side_effect = None
