"""A training that is taken up again ends as one that was never put aside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
import torch

from probes.errors import ModelError
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.training.optimizers import StackedOptimizer
from probes.models.training.run_groups import RunGroups
from probes.models.training.trainer import Trainer, trainer_for
from probes.models.training.training_runs import TrainedWeights, TrainingRun
from probes.models.training.walks import Walks
from probes.models.weights import stacks
from tests.support.llamas import batches, built
from tests.support.trainings import LEARNERS, RUNS

SETS = RUNS[:3]
PLACES = ((1, 2), (3,), (5,))
Found = dict[tuple[int, int], dict[str, torch.Tensor]]


def trainer(name: str) -> Trainer:
    torch.manual_seed(0)
    return trainer_for(
        CausalLM(built("tied"), None), LEARNERS[name].training, batches()
    )


def walked(walks: Walks, runs: Any, places: Any) -> Found:
    """Walk to some places in turn, and copy the weights of every run there."""
    found: Found = {}

    def read(stack: Any, done: int, trained: TrainedWeights) -> None:
        for i, run in enumerate(stack):
            own = trained.of(i).items()
            found[run.index, done] = {name: w.clone() for name, w in own}

    for some in places:
        walks.advance(runs, some, read)
    return found


def assert_same(found: Found, wanted: Found) -> None:
    assert found.keys() == wanted.keys()
    for place, weights in wanted.items():
        for name, w in weights.items():
            assert torch.equal(found[place][name], w), (place, name)


def straight(name: str, n_passes: int) -> Found:
    """Train each run from the start without a pause."""
    one = trainer(name)
    done = one.run(SETS, n_passes)
    return {(run.index, n_passes): done.of(i) for i, run in enumerate(SETS)}


@pytest.fixture
def in_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let every run have a thread of its own, as if weights filled the cache."""
    monkeypatch.setattr(stacks, "STACKED_BYTES", {"cpu": 1})
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_walk_that_goes_on_is_one_that_never_paused(name: str) -> None:
    found = walked(Walks(trainer(name)), SETS, PLACES)
    assert [n for _, n in sorted(found)] == [1, 2, 3, 5] * 3
    last = {place: w for place, w in found.items() if place[1] == 5}
    assert_same(last, straight(name, 5))


@pytest.mark.parametrize("name", LEARNERS)
def test_a_walk_that_memory_did_not_keep_starts_anew(name: str) -> None:
    """The orders of reshuffled passes and Adam's moments come again too."""
    kept, dropped = Walks(trainer(name)), Walks(trainer(name))
    dropped._most_bytes = 0.0
    assert_same(walked(dropped, SETS, PLACES), walked(kept, SETS, PLACES))
    assert not dropped._aside
    assert kept._aside


@pytest.mark.usefixtures("in_threads")
@pytest.mark.parametrize("name", LEARNERS)
def test_walks_in_threads_are_those_in_turn(name: str) -> None:
    many = walked(Walks(trainer(name)), SETS, PLACES)
    torch.set_num_threads(1)
    assert_same(many, walked(Walks(trainer(name)), SETS, PLACES))


def test_rates_that_take_turns_do_not_disturb_each_other() -> None:
    walks, other = Walks(trainer("adam")), RUNS[3:]
    first = walked(walks, SETS, [(1,)])
    walked(walks, other, [(1, 4)])
    found = first | walked(walks, SETS, [(2, 5)])
    wanted = walked(Walks(trainer("adam")), SETS, [(1,), (2, 5)])
    assert_same(found, wanted)


@pytest.mark.parametrize("name", ["gd", "adam"])
def test_a_walk_is_not_trained_twice(name: str) -> None:
    one, begin = trainer(name), StackedOptimizer.begin_step
    with mock.patch.object(StackedOptimizer, "begin_step", autospec=True) as step:
        step.side_effect = begin
        walked(Walks(one), SETS[:1], PLACES)
    size = LEARNERS[name].batch_size or one.loop.batches.n_examples
    assert step.call_count == 5 * one.loop.batches.n_examples // size


def test_what_is_kept_fits_into_its_share_of_memory() -> None:
    """Adam keeps two moments besides the weights; the longest aside goes first."""
    one = trainer("adam")
    each = 3 * stacks.bytes_of(one.start)
    walks = Walks(one)
    walks._most_bytes = 2.5 * each
    for rate in (0.1, 0.2, 0.3, 0.4):
        walked(walks, [TrainingRun(index=0, rate=rate, seed=0)], [(1,)])
    assert [key[0].rate for key in walks._aside] == [0.3, 0.4]


def test_walks_aside_make_room_for_one_that_does_not_fit() -> None:
    walks, checked = Walks(trainer("gd")), RunGroups.require_memory
    found = walked(walks, SETS, [(1, 2)])

    def full(self: RunGroups, n_runs: int) -> None:
        if walks._aside:
            raise ModelError("There is no room. Expected some. Make some.")
        checked(self, n_runs)

    with mock.patch.object(RunGroups, "require_memory", full):
        found |= walked(walks, SETS, [(4,)])
    assert_same(found, walked(Walks(trainer("gd")), SETS, [(1, 2), (4,)]))


def test_one_training_that_does_not_fit_is_an_error() -> None:
    none = mock.Mock(side_effect=ModelError("There is no room."))
    with (
        mock.patch.object(RunGroups, "require_memory", none),
        pytest.raises(ModelError, match="no room"),
    ):
        walked(Walks(trainer("gd")), SETS, [(1,)])


def test_places_are_read_when_training_has_failed() -> None:
    wild = [TrainingRun(index=0, rate=1e30, seed=0)]
    failures: list[tuple[int, str]] = []

    def read(stack: Any, done: int, trained: TrainedWeights) -> None:
        failures.append((done, trained.failures[0]))

    Walks(trainer("gd")).advance(wild, (1, 4), read)
    assert [done for done, _ in failures] == [1, 4]
    assert "diverged" in failures[1][1]
