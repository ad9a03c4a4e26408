"""A learner needs its own file only: no other module has to know its name."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import probes_fixtures.datasets
import probes_fixtures.models  # noqa: F401 - fills the registry
import pytest

from probes.cell import Settings
from probes.engine import cost_model
from probes.engine.cost_model import Cost, cost_of
from probes.engine.observer import Observer
from probes.engine.progress import ProgressFile
from probes.engine.request_json import request_from_json, request_to_json
from probes.engine.store import Store
from probes.engine.throughput import measured_throughput
from probes.learners.in_context import text_observation
from probes.models.parameter_count import n_parameters
from probes.observations.learner_cost import LearnerCost, PromptSizes, TokenCount
from probes.observations.observation import Observation
from probes.observations.request import LearnerContext, Request
from probes.run.grid import DATASETS, MODELS
from probes.run.plan import Estimator, plan_work
from probes.source_code import imported_names

SIZES = Settings(n_sets=2, n_queries=3, n_calibration=2)


@dataclass(frozen=True, kw_only=True)
class LastDemonstration:
    """Answer after a set's last demonstration only."""

    repeats: int = 1
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        prompts = context.prompts()
        last = tuple(shown[-1:] * self.repeats for shown in prompts.task.demonstrations)
        prompts = replace(prompts, task=replace(prompts.task, demonstrations=last))
        answered = [
            context.model.next_token_log_probs(prompts.in_context(index))
            for index in range(len(last))
        ]
        return text_observation(prompts, {"log_probs": np.stack(answered)})

    def cost(
        self, sizes: PromptSizes, facts: Mapping[str, Any] | None = None
    ) -> LearnerCost:
        share = self.repeats / sizes.n_demonstrations
        read = share * sizes.all_demonstrations + sizes.all_queries
        return LearnerCost(observation=TokenCount(read=read))


@dataclass(frozen=True, kw_only=True)
class Uncounted:
    """The same answers from a learner that does not count its cost."""

    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        return LastDemonstration().observe(context)


def asked(learner: Any = LastDemonstration(), **changes: Any) -> Request:
    request = Request(
        learner=learner,
        model=MODELS.get("hmm_llama"),
        dataset=DATASETS.get("hmm"),
        n_demonstrations=4,
        settings=SIZES,
    )
    return replace(request, **changes)


@pytest.fixture
def observer(tmp_path: Path) -> Observer:
    return Observer(Store(tmp_path / "store"))


def test_it_is_observed_and_stored_under_its_own_key(observer: Observer) -> None:
    one, two = (asked(LastDemonstration(repeats=n)) for n in (1, 2))
    assert one.key != two.key
    answered = observer.observe(one)
    assert answered.log_probs.shape == (2, 3, answered.n_vocab)
    assert observer.store.facts(one.key)["kind"].startswith("LastDemonstration")


def test_its_cost_is_counted_before_and_after_it_runs(observer: Observer) -> None:
    request = asked()
    expected = cost_of([request]).foreseen
    size = n_parameters(request.model)
    assert size is not None
    embeddings = 0.1  # of the parameters, at most; only answers read them
    assert expected.flops == pytest.approx(2 * size * expected.read, rel=embeddings)
    assert observer.observe(request).facts["flops"] == expected.flops
    (line,) = measured_throughput(observer.store, [request.key])
    assert line["work"] == "LastDemonstration"


def test_a_learner_need_not_count_its_cost(observer: Observer) -> None:
    request = asked(Uncounted())
    assert cost_of([request]).foreseen == Cost(n_observations=1, unknown=1)
    assert "flops" not in observer.observe(request).facts


def test_the_cost_model_names_no_learner() -> None:
    tree = ast.parse(inspect.getsource(cost_model))
    imported = imported_names(tree, cost_model.__name__, is_package=False)
    modules = {module for module, _ in imported}
    assert modules  # the test reads something
    assert not [m for m in modules if m.startswith("probes.learners")]


def test_it_is_planned(observer: Observer) -> None:
    estimator = Estimator(observer.store)
    plan = plan_work([asked(), asked(order=1)], estimator)["hmm_llama"]
    assert (plan.stored, plan.missing) == (0, 2)
    assert plan.cost == cost_of([asked(), asked(order=1)])


def test_a_worker_can_build_its_request(observer: Observer) -> None:
    assert request_from_json(request_to_json(asked())) == asked()


def test_progress_names_it(tmp_path: Path) -> None:
    ProgressFile(tmp_path, "worker").announce(asked())
    doing = json.loads((tmp_path / "worker.json").read_text())["doing"]
    assert doing.startswith("LastDemonstration")
