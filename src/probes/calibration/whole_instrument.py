"""Error rates of the whole instrument, on networks of known truth.

In place of ICL, each cell has a network of linear self-attention whose weights perform
a known algorithm, and judges it as if it had been trained. Observations, store, the fit
of the learner's rate on calibration tasks, measure, judge and verdict are those of any
cell. Every run draws its own tasks.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from probes.calibration.study import ErrorRates
from probes.cards import Construction, DatasetCard, LinearTasks, ModelCard
from probes.cell import Cell, Settings
from probes.claims import ClaimCard
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.learners import InContext, LinearLearner
from probes.measures import prediction_distance
from probes.observations.request import Request
from probes.verdicts.judge import Judge
from probes.verdicts.outcomes import Refuted, Undecided

RATE = 0.15  # near the best for one GD step on 10 demonstrations of 10 inputs
MARGIN = 0.05  # as a share of the answers' size, as in the claims on construction
TASKS = DatasetCard(
    name="calibration_tasks",
    family="regression",
    summary="",
    rows=LinearTasks(),
    language="linear_10",
)
CLAIM = ClaimCard(
    name="calibration", sentence="ICL is GD.", source="known", on="regression"
)


@dataclass(frozen=True, kw_only=True)
class Surrogate:
    """A network in place of ICL, and the learner that the claim compares it with.

    Attributes:
        name: The name in the table.
        truth: Where the true mean distance lies: inside, at the margin or outside.
        does: The algorithm that the network performs.
        claimed: The learner that it is compared with.
    """

    name: str
    truth: str
    does: Construction
    claimed: LinearLearner

    @property
    def model(self) -> ModelCard:
        """The network's card; its kind is learned, so that no algebra decides."""
        return ModelCard(
            name="surrogate",
            kind="learned",
            family="regression",
            summary="",
            weights=self.does,
            language="linear_10",
            n_layers=1,
        )


def _gd(rate: float, spoiled_by: float = 0.0) -> Construction:
    return Construction(
        algorithm="gd", n_inputs=10, n_layers=1, rate=rate, spoiled_by=spoiled_by
    )


FITTED = LinearLearner(algorithm="gd", steps=1)
FIXED = LinearLearner(algorithm="gd", steps=1, settings=(RATE,))


def surrogates(unit: float) -> list[Surrogate]:
    """List the networks.

    Args:
        unit: The mean distance of GD at twice the rate. The distance is proportional
            to the excess of the rate, so any distance can be set.
    """

    def at(margins: float) -> Construction:
        return _gd(RATE * (1 + margins * MARGIN / unit))

    newton = Construction(algorithm="newton", n_inputs=10, n_layers=8, rate=2 / 30**2)
    return [
        Surrogate(
            name="GD, rate fitted", truth="inside", does=_gd(RATE), claimed=FITTED
        ),
        Surrogate(name="GD, half the margin off", truth="inside", does=at(0.5),
                  claimed=FIXED),
        Surrogate(name="GD, the margin off", truth="at the margin", does=at(1.0),
                  claimed=FIXED),
        Surrogate(name="GD, twice the margin off", truth="outside", does=at(2.0),
                  claimed=FIXED),
        Surrogate(name="Newton", truth="outside", does=newton, claimed=FITTED),
        Surrogate(name="noise in W_V", truth="outside", does=_gd(RATE, spoiled_by=RATE),
                  claimed=FITTED),
    ]  # fmt: skip


def surrogate_error_rates(*, runs: int) -> Iterator[ErrorRates]:
    """Judge every surrogate in as many runs, and count the verdicts."""
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        observer = Observer(Store(Path(folder)))
        for surrogate in surrogates(_unit(observer)):
            verdicts = Counter(
                _verdict(observer, surrogate, seed) for seed in range(runs)
            )
            yield _outcome(surrogate, verdicts, runs)


def _memory() -> Path | None:
    """Find a folder in memory: on a disk, the store would wait at every observation."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and os.access(memory, os.W_OK) else None


def _unit(observer: Observer) -> float:
    """Measure the distance of GD at twice the rate, on very many tasks."""
    double = replace(FIXED, settings=(2 * RATE,))
    cell = _cell(
        surrogates(1.0)[0].model, Settings(n_sets=20_000, n_queries=4, seed=-1)
    )
    ours, theirs = (observer.observe(Request.of(cell, a)) for a in (FIXED, double))
    return prediction_distance(ours, theirs).mean


def _cell(model: ModelCard, settings: Settings) -> Cell:
    return Cell(model=model, dataset=TASKS, n_demonstrations=10, settings=settings)


def _verdict(observer: Observer, surrogate: Surrogate, seed: int) -> str:
    cell = _cell(surrogate.model, Settings(seed=seed))
    judge = Judge(CLAIM, cell)
    icl, gd = (
        observer.observe(Request.of(cell, learner))
        for learner in (InContext(), surrogate.claimed)
    )
    judge.vanishes(prediction_distance(icl, gd), tolerance=1e-12, margin=MARGIN)
    with contextlib.suppress(Refuted, Undecided):
        judge.conclude(expected=None)
    assert judge.judgement is not None
    return judge.judgement.verdict


def _outcome(surrogate: Surrogate, verdicts: Counter[str], runs: int) -> ErrorRates:
    supported, refuted = (verdicts[v] / runs for v in ("supported", "refuted"))
    inside, outside = surrogate.truth == "inside", surrogate.truth == "outside"
    settings = Settings()
    return ErrorRates(
        rule="whole instrument",
        simulation=surrogate.name,
        n_sets=settings.n_sets,
        n_queries=settings.n_queries,
        truth=surrogate.truth,
        false_supported=None if inside else supported,
        false_refuted=None if outside else refuted,
        power=supported if inside else refuted if outside else None,
        runs=runs,
    )
