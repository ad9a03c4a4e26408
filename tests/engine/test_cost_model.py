"""What observations cost, counted from tokens, against what a model then reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import probes_fixtures.datasets
import probes_fixtures.models  # noqa: F401 - fills the registry
import pytest
from probes_fixtures.variants import GRADIENT_LEARNERS, SEARCHES

from probes.cell import Settings
from probes.engine.cost_model import (
    Cost,
    cost_of,
    cost_of_one,
    flops_of,
)
from probes.engine.machine_speed import SHARE_OF_PEAK, MachineSpeed
from probes.engine.observer import Observer
from probes.engine.request_sizes import ModelSize
from probes.engine.store import Store
from probes.engine.throughput import measured_throughput
from probes.learners import (
    Activations,
    Base,
    GradientLearner,
    InContext,
    LabelPrior,
    LinearLearner,
    PositionFree,
    RandomUpdate,
    TaskVector,
    WeightStatistics,
)
from probes.learners.rate_choice import RateChoice
from probes.observations.learner_cost import LearnerCost, PromptSizes, TokenCount
from probes.observations.request import Request
from probes.report.appendix import speed_lines
from probes.run.grid import DATASETS, MODELS
from probes.run.plan import Estimator, plan_work

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
    assert cost_of([request]).foreseen.read == pytest.approx(once, rel=0.05)


def test_operations_are_two_a_parameter_and_six_where_it_learns() -> None:
    size = ModelSize(total=110, head=10, layers=100, n_layers=2)
    work = TokenCount(read=10, learned=1, answered=3)
    assert Cost.of(work, size).flops == 100 * (2 * 10 + 6 * 1) + 10 * 2 * 3


@pytest.mark.parametrize(("tied", "layers"), [(True, 940), (False, 880)])
def test_embeddings_are_no_layers_and_only_answers_read_them(
    tied: bool, layers: int
) -> None:
    config = {"hidden_size": 6, "vocab_size": 10, "num_hidden_layers": 4}
    size = ModelSize.of(1000, {**config, "tie_word_embeddings": tied})
    assert size == ModelSize(total=1000, head=60, layers=layers, n_layers=4)
    assert ModelSize.of(1000, {}) == ModelSize(total=1000, layers=1000)


def foreseen(*requests: Request) -> Cost:
    return cost_of(requests).foreseen


def test_what_a_learner_needs_is_counted_apart_and_shared(tmp_path: Path) -> None:
    estimator = Estimator(Store(tmp_path))
    nearest = replace(GD, criterion=GD.criteria[1])
    same_choice = [asked(one, order=o) for one in (GD, nearest) for o in range(2)]
    kinds = [
        {type(r.learner).__name__ for _, r in estimator.missing(one)}
        for one in same_choice
    ]
    assert kinds == [{"GradientLearner", "RateChoice", "InContext", "Base"}] * 4
    (work,) = plan_work(same_choice, estimator).values()
    assert work.missing == 2 + 1 + 2  # a full batch has no order; the choice needs two
    assert work.cost.foreseen.unknown == 0


def test_requests_that_share_a_training_cost_it_once() -> None:
    nearest = replace(GD, criterion=GD.criteria[1])
    one, two = cost_of([asked(GD)]), cost_of([asked(GD), asked(nearest)])
    assert two.foreseen.learned == one.foreseen.learned
    assert two.foreseen.read == pytest.approx(2 * one.foreseen.read)
    assert two.limit.learned == 2 * one.limit.learned
    apart = cost_of([asked(GD), asked(replace(nearest, batch_size=1))])
    assert apart.foreseen.learned == 2 * one.foreseen.learned


def test_a_choice_that_is_stored_costs_nothing_more(tmp_path: Path) -> None:
    store = Store(tmp_path)
    given = asked(replace(GD, rate=0.1, passes=2))
    assert [r for _, r in Estimator(store).missing(given)] == [given]
    Observer(store).observe(given)
    assert not list(Estimator(store).missing(given))
    other = asked(RandomUpdate(matched_to=given.learner))
    assert [r for _, r in Estimator(store).missing(other)] == [other]


@pytest.mark.parametrize("learner", [InContext(), GD, RandomUpdate(matched_to=GD)])
def test_cost_grows_as_the_sets_do(learner: Any) -> None:
    twice = asked(learner, settings=replace(SIZES, n_sets=10))
    few, many = foreseen(asked(learner)), foreseen(twice)
    assert many.read / few.read == pytest.approx(2, rel=0.05)
    assert many.flops / few.flops == pytest.approx(2, rel=0.05)


def test_weights_move_once_a_pass_and_five_times_a_step() -> None:
    size = ModelSize(total=100, layers=100)
    assert Cost.of(TokenCount(read=10), size).moved == 400
    assert Cost.of(TokenCount(read=2049), size).moved == 800
    steps = TokenCount(learned=9, steps=3)
    assert Cost.of(steps, size, width=2).moved == 100 * 2 * 5 * 3
    one_by_one = replace(GD, batch_size=1)
    assert foreseen(asked(one_by_one)).moved > 3 * foreseen(asked(GD)).moved


def test_what_was_made_costs_the_passes_that_were_chosen() -> None:
    whole, some = (flops_of(asked(GD), {"own_passes": n}) for n in (64, 4))
    assert whole is not None
    assert some is not None
    assert 6 < whole / some < 16


def test_a_sub_model_costs_less_than_the_model_and_more_the_lower_it_is() -> None:
    places = ("first", "middle", "deep", "last")
    costs = [foreseen(asked(GRADIENT_LEARNERS[f"gd_{p}_W_V"])).flops for p in places]
    assert foreseen(asked(GD)).flops > costs[0]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > 1.5 * costs[-1]


def test_a_greater_effort_costs_more_and_its_limit_is_higher() -> None:
    cells = [Settings(effort=effort) for effort in SEARCHES]
    costs = [
        cost_of_one(asked(replace(GD, effort=SEARCHES[s.effort]).choice, settings=s))
        for s in cells
    ]
    assert [c.foreseen.flops for c in costs] == sorted(c.foreseen.flops for c in costs)
    assert costs[2].foreseen.flops == pytest.approx(
        4 * costs[0].foreseen.flops, rel=0.1
    )
    assert all(c.limit.flops > 5 * c.foreseen.flops for c in costs)


def test_a_search_that_was_made_costs_the_places_that_it_walked() -> None:
    counted = COUNTED_CHOICE.cost(COUNTED, {"places": [[0.1, 1], [0.1, 4], [1.0, 2]]})
    # Four sets take 4 and 2 passes; at three places 4 queries are asked.
    assert counted.observation.learned == 6 * 4 * 40
    assert counted.observation.read == 3 * 4 * 4 * 10


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
    facts = observer.observe(asked(replace(GD, passes=1))).facts
    assert facts["own_seconds"] < facts["seconds"]


def test_what_nobody_counts_is_reported_as_unknown() -> None:
    regression = asked(
        LinearLearner(algorithm="gd"),
        model=MODELS.get("constructed_gd_1"),
        dataset=DATASETS.get("linear"),
    )
    assert foreseen(regression, asked(Base())).unknown == 1


def test_a_model_without_a_tokenizer_file_has_no_known_cost(tmp_path: Path) -> None:
    from probes.cards import Checkpoint, ModelCard

    (tmp_path / "config.json").write_text("{}")
    bare = ModelCard(
        name="bare", kind="pretrained", family="text", summary="",
        weights=Checkpoint(location=str(tmp_path)), n_parameters=10,
    )  # fmt: skip
    assert foreseen(asked(InContext(), model=bare)) == Cost(n_observations=1, unknown=1)


COUNTED = PromptSizes(
    n_sets=5,
    n_queries=3,
    n_calibration=4,
    n_demonstrations=4,
    demonstration_tokens=40.0,
    query_tokens=10.0,
)
TRAINED = GradientLearner(passes=8)
COUNTED_CHOICE = RateChoice(of=GradientLearner())


@pytest.mark.parametrize(
    ("learner", "read", "answered"),
    [
        (InContext(), 350, 15),
        (PositionFree(), 350, 15),
        (Base(), 30, 3),
        (LabelPrior(), 30, 3),
        (RandomUpdate(matched_to=TRAINED), 150, 15),
        (TaskVector(), 150, 15),
        (Activations(of=InContext()), 15 * 50, 15),
        (Activations(of=Base()), 350, 15),
        (WeightStatistics(), 0, 0),
    ],
)
def test_a_learner_counts_the_tokens_that_it_reads(
    learner: Any, read: int, answered: int
) -> None:
    work = TokenCount(read=read, answered=answered)
    assert learner.cost(COUNTED) == LearnerCost(observation=work)


@pytest.mark.parametrize(("batch_size", "per_pass"), [(None, 1), (1, 4), (3, 2)])
def test_gd_counts_its_training(batch_size: int | None, per_pass: int) -> None:
    learner = replace(TRAINED, batch_size=batch_size)
    after = learner.cost(COUNTED, {"own_passes": 8})
    # Five sets take 8 passes; four next tokens are learned in each, at thrice the cost.
    work = TokenCount(
        read=150, learned=8 * 200, steps=40 * per_pass, answered=15 + 3 * 40 * 4
    )
    assert after == LearnerCost(observation=work)
    assert learner.cost(COUNTED).observation == work


def test_below_a_sub_model_everything_is_read_once() -> None:
    sizes = replace(COUNTED, n_layers=4)
    work = GradientLearner(passes=6, weights="W_V@last").cost(sizes).observation
    # Three layers of four read five sets and three queries once; the last layer reads
    # all queries, and its gradients take two thirds of training.
    assert work.read == pytest.approx(0.75 * (200 + 30) + 0.25 * 150)
    assert work.learned == pytest.approx(6 * 200 * 0.25 * 2 / 3)


def test_time_is_that_of_products_memory_answers_and_steps() -> None:
    speed = MachineSpeed(peak=1e9, bandwidth=1e9)
    products = Cost(flops=SHARE_OF_PEAK * 3e9, moved=2e9)
    assert speed.seconds(products) == pytest.approx(5)
    assert speed.seconds(products, n_workers=4) == pytest.approx(5)
    rest = Cost(answered=1e5, steps=1e4, n_observations=100)
    assert speed.seconds(rest) == pytest.approx(10 + 10 + 3)
    assert speed.seconds(rest, n_workers=2) == pytest.approx(23 / 2)


def test_a_machine_is_measured_in_flops_and_bytes() -> None:
    speed = MachineSpeed.measure("cpu", "float32")
    assert 1e8 < speed.peak < 1e14
    assert 1e8 < speed.bandwidth < 1e13
