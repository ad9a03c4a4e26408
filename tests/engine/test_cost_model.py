"""What observations cost, counted from tokens, against what a model then reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import probes_fixtures.datasets
import probes_fixtures.models  # noqa: F401 - fills the registry
import pytest
from probes_fixtures.variants import GRADIENT_LEARNERS

from probes.cell import Settings
from probes.engine.cost_model import Cost, cost_of, flops_of
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.engine.throughput import measured_throughput
from probes.learners import (
    Base,
    GradientLearner,
    InContext,
    LinearLearner,
    PositionFree,
    RandomUpdate,
)
from probes.learners.gradient import TYPICAL_RATES
from probes.learners.rate_search import SearchEffort
from probes.models.parameter_count import n_parameters
from probes.observations.learner_cost import LearnerCost, PromptSizes, TokenCount
from probes.observations.request import Request
from probes.report.appendix import speed_lines
from probes.run.grid import DATASETS, MODELS

SIZES = Settings(n_sets=5, n_queries=6, n_calibration=4)
SEEDED = replace(SIZES, seed=7)
GD = GRADIENT_LEARNERS["gd"]


def asked(learner: Any, **changes: Any) -> Request:
    found = Request(
        learner=learner,
        model=MODELS.get("hmm_llama"),
        dataset=DATASETS.get("hmm"),
        n_demonstrations=4,
        settings=SIZES,
    )
    return replace(found, **changes)


def test_tokens_are_those_that_the_models_own_tokenizer_counts(tmp_path: Path) -> None:
    request = asked(InContext())
    context = Observer(Store(tmp_path)).context(request)
    task, tokenizer = context.text_task(), context.model.tokenizer
    texts = [
        task.in_context(shown, query)
        for shown, queries in zip(task.demonstrations, task.queries, strict=True)
        for query in queries
    ]
    whole = sum(map(len, tokenizer(texts)["input_ids"]))
    shown = [
        task.in_context(s, q[0])
        for s, q in zip(task.demonstrations, task.queries, strict=True)
    ]
    alone = [task.alone(q[0]) for q in task.queries]
    prefixes = [
        a - b
        for a, b in zip(
            map(len, tokenizer(shown)["input_ids"]),
            map(len, tokenizer(alone)["input_ids"]),
            strict=True,
        )
    ]
    once = whole - (SIZES.n_queries - 1) * sum(prefixes)  # a set's prefix counts once
    assert cost_of([request]).read == pytest.approx(once, rel=0.05)


def test_operations_are_two_a_parameter_and_six_where_it_learns() -> None:
    assert Cost.of(10.0, 1.0, size=100).flops == 100 * (2 * 10 + 6 * 1)
    found = cost_of([asked(Base())])
    size = n_parameters(MODELS.get("hmm_llama"))
    assert size is not None
    assert found.flops == pytest.approx(2 * size * found.read)


def test_training_costs_its_passes_and_the_choice_is_counted_once() -> None:
    orders = [asked(GD, order=order) for order in range(3)]
    one, all_three = cost_of(orders[:1]), cost_of(orders)
    each = cost_of(orders[:2]).learned - one.learned
    assert all_three.learned == pytest.approx(one.learned + 2 * each)
    # Five sets train at one rate, four at each of those that a search usually walks.
    assert one.learned == pytest.approx(each * (1 + TYPICAL_RATES * 4 / 5))


@pytest.mark.parametrize("learner", [InContext(), GD, RandomUpdate(matched_to=GD)])
def test_cost_grows_as_the_sets_do(learner: Any) -> None:
    twice = asked(learner, settings=replace(SIZES, n_sets=10))
    few, many = cost_of([asked(learner)]), cost_of([twice])
    chosen = 4 * TYPICAL_RATES if learner is GD else 0  # sets trained anyway
    ratio = (10 + chosen) / (5 + chosen)
    tokens = [cost.learned or cost.read for cost in (few, many)]
    assert tokens[1] / tokens[0] == pytest.approx(ratio, rel=0.05)


def test_weights_move_once_a_pass_and_five_times_a_step() -> None:
    assert Cost.of(10.0, 0.0, size=100).moved == 400
    assert Cost.of(2049.0, 0.0, size=100).moved == 800
    assert Cost.of(0.0, 9.0, size=100, steps=3, width=2).moved == 100 * 2 * 5 * 3
    one_by_one = replace(GD, batch_size=1)
    assert cost_of([asked(one_by_one)]).moved > 3 * cost_of([asked(GD)]).moved


def test_what_was_made_costs_the_passes_that_were_chosen() -> None:
    whole = flops_of(asked(GD), {"passes": 64})
    some = flops_of(asked(GD), {"passes": 4})
    assert whole is not None
    assert some is not None
    assert 10 < whole / some < 16
    assert flops_of(asked(replace(GD, weights="W_V@last")), {"passes": 4}) is None


def test_a_run_reports_how_fast_it_measured(tmp_path: Path) -> None:
    observer = Observer(Store(tmp_path))
    keys = [observer.observe(asked(Base(), settings=s)).key for s in (SIZES, SEEDED)]
    (line,) = measured_throughput(observer.store, [*keys, "0" * 32])
    assert (line["work"], line["model"]) == ("Base", "hmm_llama")
    facts = [observer.store.facts(key) for key in keys]
    assert line["observations"] == len(facts)
    assert sum(f["flops"] for f in facts) == pytest.approx(
        line["flop_per_s"] * sum(f["own_seconds"] for f in facts), rel=0.01
    )
    assert 0 < line["share_of_peak"] < 1
    assert speed_lines({"speed": [line] * 8})[-1] == "Other kinds of observation: 2"
    assert speed_lines({}) == []


def test_the_time_of_a_choice_is_not_counted_twice(tmp_path: Path) -> None:
    observer = Observer(Store(tmp_path))
    quick = SearchEffort(n_sets=1, passes=1, total=4)
    facts = observer.observe(asked(GradientLearner(effort=quick))).facts
    assert facts["own_seconds"] < facts["seconds"]


def test_what_nobody_counts_is_reported_as_unknown() -> None:
    regression = asked(
        LinearLearner(algorithm="gd"),
        model=MODELS.get("constructed_gd_1"),
        dataset=DATASETS.get("linear"),
    )
    assert cost_of([regression, asked(Base())]).unknown == 1


def test_a_model_without_a_tokenizer_file_has_no_known_cost(tmp_path: Path) -> None:
    from probes.cards import Checkpoint, ModelCard

    (tmp_path / "config.json").write_text("{}")
    bare = ModelCard(
        name="bare", kind="pretrained", family="text", summary="",
        weights=Checkpoint(location=str(tmp_path)), n_parameters=10,
    )  # fmt: skip
    assert cost_of([asked(InContext(), model=bare)]) == Cost(unknown=1)


COUNTED = PromptSizes(
    n_sets=5,
    n_queries=3,
    n_calibration=4,
    n_demonstrations=4,
    demonstration_tokens=40.0,
    query_tokens=10.0,
)
TRAINED = GradientLearner(passes=8)


@pytest.mark.parametrize(
    ("learner", "read"),
    [
        (InContext(), 350),
        (PositionFree(), 350),
        (Base(), 30),
        (RandomUpdate(matched_to=TRAINED), 150),
    ],
)
def test_a_learner_counts_the_tokens_that_it_reads(learner: Any, read: int) -> None:
    counted = learner.cost(COUNTED)
    assert counted == LearnerCost(observation=TokenCount(read=read))


@pytest.mark.parametrize(("batch_size", "per_pass"), [(None, 1), (1, 4), (3, 2)])
def test_gd_counts_its_training_and_the_choice_of_its_rate(
    batch_size: int | None, per_pass: int
) -> None:
    learner = replace(TRAINED, batch_size=batch_size)
    # Five sets take 8 passes; four sets take them at six rates, and are read at six
    # places: after 1, 2, 3, 4, 6 and 8 passes.
    assert learner.cost(COUNTED) == LearnerCost(
        observation=TokenCount(read=150, learned=8 * 200, steps=40 * per_pass),
        choice=TokenCount(
            read=24 * 6 * 40, learned=24 * 8 * 40, steps=24 * 8 * per_pass
        ),
    )
    after = learner.cost(COUNTED, {"passes": 1})
    assert after is not None
    assert after.observation.learned == 200
