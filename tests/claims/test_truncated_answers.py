"""Claims judged on answers kept in part say what they say on whole ones.

The vocabularies of shipped models are small, so what counts as large is lowered.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from probes_fixtures.matching import require_match

import claims.test_order as order
import claims.test_output as output
from probes.cell import Cell, Settings
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.learners import Base, GradientLearner, Illustration, InContext, RandomUpdate
from probes.learners.search_effort import SearchEffort
from probes.measures import Equal
from probes.observations import truncation
from probes.observations.observation import Observation
from probes.observations.request import Request
from probes.run.grid import dataset_named, model_named
from probes.verdicts.judge import Judge
from probes.verdicts.outcomes import Undecided

SIZES = Settings(n_sets=5, n_queries=6, n_calibration=4, n_orders=2)
CELL = Cell(
    model=model_named("text_llama"),
    dataset=dataset_named("inferences"),
    n_demonstrations=2,
    settings=SIZES,
)
GD = GradientLearner(rate=0.1, passes=2, weights="W_V@last")
CHANGE = Equal(quantity="change")
MATCHED = GradientLearner(
    weights="W_V@last",
    criterion=CHANGE,
    criteria=(CHANGE,),
    effort=SearchEffort(n_sets=2, passes=4, total=32),
)
LOWERED = {"SMALL": 1000, "N_BYTES": 2500}


def answers(folder: Path) -> dict[str, Any]:
    observer = Observer(Store(folder))

    def ask(learner: Any, **changes: Any) -> Observation:
        return observer.observe(Request.of(CELL, learner, **changes))

    return {
        "icl": ask(InContext()),
        "reordered": ask(InContext(), order=1),
        "gd": ask(GD),
        "gd_reordered": ask(GD, order=1),
        "base": ask(Base()),
        "random": ask(RandomUpdate(matched_to=GD)),
        "illustration": ask(Illustration(of=GD)),
        "match": ask(MATCHED.choice, queries="calibration"),
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return answers(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as lowered:
        for name, size in LOWERED.items():
            lowered.setattr(truncation, name, size)
        return answers(tmp_path_factory.mktemp("part"))


def judged(o: dict[str, Any], name: str) -> Judge:
    claim: Any = getattr(output, name, None) or getattr(order, name)
    judge = Judge(claim.claim, CELL)
    arms = {"base": (o["icl"], o["base"]), "random": (o["icl"], o["random"])}
    ceilings = (o["reordered"], o["base"])
    given: dict[str, tuple[Any, ...]] = {
        "test_same_accuracy": (o["base"], o["base"], o["random"], judge),
        "test_same_top_tokens": (*ceilings, arms, o["illustration"], judge),
        "test_same_confidence": (*ceilings, arms, judge),
        "test_same_distribution": (*ceilings, arms, o["illustration"], judge),
    }
    if name == "test_same_order_sensitivity":
        ours, theirs = [o["icl"], o["reordered"]], [o["gd"], o["gd_reordered"]]
        curve = {"GD after 1 pass": theirs}
        claim(ours, [], o["base"], theirs, o["base"], curve, False, judge)
    else:
        claim(o["icl"], o["gd"], o["gd"], *given[name])
    assert judge.judgement is not None
    return judge


EXACT = ["test_same_accuracy", "test_same_top_tokens", "test_same_confidence"]
BOUNDED = ["test_same_distribution", "test_same_order_sensitivity"]


def test_an_entry_is_as_much_smaller_as_it_knows_less(
    whole: dict[str, Any], part: dict[str, Any]
) -> None:
    n_vocab = whole["icl"].n_vocab
    n_answers = SIZES.n_sets * SIZES.n_queries
    sizes = [
        sum(a.nbytes for a in o["icl"].arrays.values()) - o["icl"].gold.nbytes
        for o in (whole, part)
    ]
    assert sizes[0] == 4 * n_vocab * n_answers
    assert sizes[1] <= LOWERED["N_BYTES"] * n_answers
    assert part["icl"].n_vocab == n_vocab


@pytest.mark.parametrize("name", EXACT)
def test_exact_claims_come_to_the_same_verdict_and_numbers(
    whole: dict[str, Any], part: dict[str, Any], name: str
) -> None:
    ours, theirs = judged(whole, name), judged(part, name)
    assert ours.judgement is not None
    assert theirs.judgement is not None
    assert theirs.judgement.verdict == ours.judgement.verdict
    value = ours.judgement.effect.value
    assert theirs.judgement.effect.value == pytest.approx(value, abs=1e-9)
    assert theirs.note == ours.note
    assert theirs.example == ours.example


@pytest.mark.parametrize("name", BOUNDED)
def test_claims_of_distance_never_contradict_and_report_their_width(
    whole: dict[str, Any], part: dict[str, Any], name: str
) -> None:
    ours, theirs = judged(whole, name), judged(part, name)
    assert ours.judgement is not None
    assert theirs.judgement is not None
    assert theirs.judgement.verdict in (ours.judgement.verdict, "inconclusive")
    assert "only part of each answer is kept" in theirs.note
    assert "only part of each answer is kept" not in ours.note


def test_a_match_in_change_is_nearly_that_of_whole_answers(
    whole: dict[str, Any], part: dict[str, Any]
) -> None:
    whole_match, part_match = (o["match"].facts[CHANGE.name] for o in (whole, part))
    for name in ("wanted", "value"):
        assert abs(whole_match[name] - part_match[name]) <= 0.02
    assert whole_match["hidden"] == 0
    assert part_match["hidden"] > 0


# ------------------------------------------------ where the truth is known and decided

WIDE, SHAPE = 9300, (10, 30)


def answered_with(logits: Any) -> Observation:
    log_probs = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    gold = np.zeros(log_probs.shape[:2], dtype=np.int64)
    return Observation(
        arrays={"log_probs": log_probs.astype(np.float32), "gold": gold},
        facts={"label_tokens": [1, 2], "n_vocab": WIDE},
    )


def in_part(one: Observation) -> Observation:
    parts = truncation.truncated(one["log_probs"], [1, 2])
    return replace(one, arrays={**parts, "gold": one.gold})


def world(likeness: float) -> dict[str, Observation]:
    """Draw answers in which GD has a share of what ICL learned."""
    rng = np.random.default_rng(0)
    common, learned, other, third = rng.normal(size=(4, *SHAPE, WIDE))
    noise = rng.normal(size=(3, *SHAPE, WIDE)) / 10
    logits = {
        "icl": common + learned + noise[0],
        "reordered": common + learned + noise[1],
        "gd": common + likeness * learned + (1 - likeness) * other + noise[2],
        "base": common + third,
        "random": common + other,
    }
    return {name: answered_with(5 * drawn) for name, drawn in logits.items()}


@pytest.mark.parametrize(("likeness", "verdict"), [(1, "supported"), (0, "refuted")])
def test_what_is_decided_on_whole_answers_is_decided_on_kept_ones(
    likeness: float, verdict: str
) -> None:
    answered = world(likeness)
    illustration = Observation(arrays={}, facts={"example": []})
    part = {name: in_part(one) for name, one in answered.items()}
    assert not any(one.is_whole for one in part.values())
    for o in (answered, part):
        judge = judged({**o, "illustration": illustration}, "test_same_distribution")
        assert judge.judgement is not None
        assert judge.judgement.verdict == verdict, judge.judgement


def test_a_match_that_the_errors_could_undo_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(1, 1, WIDE))  # one answer: its error is large
    moved = logits + rng.normal(size=logits.shape)
    base, icl = map(answered_with, (logits, moved))
    monkeypatch.setattr(truncation, "N_BYTES", 1700)
    matched, kept = [], (in_part(base), in_part(icl))
    for alone, ours in ((base, icl), kept):  # GD is where ICL is
        chosen = {"rate": 0.1, "passes": 1, **CHANGE.facts(ours, alone)}
        facts = {
            "criteria": [CHANGE.name],
            "places": [[0.1, 1]],
            CHANGE.name: chosen,
        }
        choice = Observation(arrays={"points": np.zeros((2, 1, 1))}, facts=facts)
        judge = Judge(output.test_same_top_tokens.claim, CELL)
        try:
            require_match(choice, CHANGE, judge)
        except Undecided:
            matched.append(False)
        else:
            matched.append(True)
    assert matched == [True, False]
