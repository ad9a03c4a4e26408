"""The instrument tested on known truths, in every report.

Each self-test asks an observer for observations and says whether the verdict is right.
The observations go through the store as all others do, so a second run makes none.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from probes.cards import Construction, DatasetCard, LinearTasks, ModelCard
from probes.cell import Settings
from probes.engine.observer import Observer
from probes.learners import InContext, LinearLearner
from probes.measurement import Measurement
from probes.measures import answer_order_sensitivity, prediction_distance
from probes.observations.observation import Observation
from probes.observations.request import Learner, Request
from probes.verdicts.equivalence import equivalence_test
from probes.verdicts.exact import tolerance_test
from probes.verdicts.thresholds import FEW_SETS, LEAST_QUERIES

ROUNDING = 1e-12
"""float64 keeps 16 digits; sums over 20 terms and 10 inputs may lose four of them."""
RATE = 0.1
SETTINGS = Settings(n_sets=FEW_SETS, n_queries=LEAST_QUERIES)


def _model(name: str, spoiled_by: float) -> ModelCard:
    spec = Construction(
        algorithm="gd", n_inputs=10, n_layers=1, rate=RATE, spoiled_by=spoiled_by
    )
    return ModelCard(
        name=name,
        kind="constructed",
        family="regression",
        summary="",
        weights=spec,
        language="linear_10",
        n_layers=1,
        declared=(("gd", (RATE,)),),
    )


CONSTRUCTED = _model("self_test_gd", 0.0)
SPOILED = _model("self_test_spoiled", 1e-3)
TASKS = DatasetCard(
    name="self_test_tasks",
    family="regression",
    summary="",
    rows=LinearTasks(),
    language="linear_10",
)


def _ask(
    observer: Observer, model: ModelCard, learner: Learner, order: int
) -> Observation:
    return observer.observe(
        Request(
            learner=learner,
            model=model,
            dataset=TASKS,
            n_demonstrations=10,
            settings=SETTINGS,
            order=order,
        )
    )


def _distance(observer: Observer, model: ModelCard) -> Measurement:
    icl = _ask(observer, model, InContext(), 0)
    return prediction_distance(
        icl, _ask(observer, model, LinearLearner(algorithm="gd"), 0)
    )


def _construction_is_gd(observer: Observer) -> bool:
    judgement = tolerance_test(_distance(observer, CONSTRUCTED), tolerance=ROUNDING)
    return judgement.verdict == "supported"


def _spoiled_copy_is_refuted(observer: Observer) -> bool:
    judgement = tolerance_test(_distance(observer, SPOILED), tolerance=ROUNDING)
    return judgement.verdict == "refuted"


def _gd_ignores_order(observer: Observer) -> bool:
    gd = LinearLearner(algorithm="gd")
    orders = [_ask(observer, CONSTRUCTED, gd, order) for order in range(4)]
    return bool(answer_order_sensitivity(orders).values.max() <= ROUNDING)


def _same_learner_is_supported(observer: Observer) -> bool:
    gap = _distance(observer, CONSTRUCTED).minus(_distance(observer, CONSTRUCTED))
    return equivalence_test(gap, margin=ROUNDING).verdict == "supported"


SELF_TESTS: dict[str, Callable[[Observer], bool]] = {
    "the construction is GD to 1e-12": _construction_is_gd,
    "full-batch GD ignores the order": _gd_ignores_order,
    "the same learner twice is supported": _same_learner_is_supported,
    "a copy spoiled by 1e-3 is refuted": _spoiled_copy_is_refuted,
}


def run_self_tests(observer: Observer) -> dict[str, bool]:
    """Run every self-test; one that raises an error has failed."""
    return {name: _passes(partial(test, observer)) for name, test in SELF_TESTS.items()}


def _passes(test: Callable[[], bool]) -> bool:
    try:
        return test()
    except Exception:  # whatever it is, the report must be written and say so
        return False
