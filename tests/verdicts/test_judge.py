"""Unfinished searches refute nothing; GD at its best at the task decides nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from probes.cell import Cell, Settings
from probes.claims import ClaimCard
from probes.measurement import Measurement
from probes.verdicts.judge import Judge
from probes.verdicts.negative_controls import UNTRAINED
from tests.support.cards import dataset, model

CELL = Cell(
    model=model("m"),
    dataset=dataset("d"),
    n_demonstrations=4,
    settings=Settings(n_sets=12, n_queries=40),
)
CLAIM = ClaimCard(name="c", sentence="s", source="s", on="text")


def about(mean: float, seed: int = 0) -> Measurement:
    noise = np.random.default_rng(seed).normal(size=(12, 40)) / 50
    return Measurement(name="gap", values=mean + noise, unit="fraction")


def search(*, is_interior: bool, **changed: Any) -> dict[str, Any]:
    edge = "" if is_interior else "the criterion still falls after 256 passes"
    return {
        "criterion": "token_overlap", "rate": 0.1, "passes": 256, "value": 0.2,
        "is_interior": is_interior, "edge": edge, "gain": 0.1, "curves": [], **changed,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("mean", "is_interior", "decides", "verdict"),
    [
        (0.5, True, True, "refuted"),
        (0.5, False, True, "inconclusive"),
        (0.5, False, False, "refuted"),
        (0.0, False, True, "supported"),
    ],
)
def test_an_unfinished_search_refutes_nothing(
    mean: float, is_interior: bool, decides: bool, verdict: str
) -> None:
    judge = Judge(CLAIM, CELL)
    judge.note_search(search(is_interior=is_interior), decides=decides)
    judge.agrees(about(mean), margin=0.1)
    assert judge.judgement is not None
    assert judge.judgement.verdict == verdict
    if verdict == "inconclusive":
        assert "still falls after 256 passes" in judge.judgement.reason


def test_an_unfinished_search_leaves_nothing_open_that_no_rate_changes() -> None:
    judge = Judge(CLAIM, CELL)
    judge.note_search(search(is_interior=False), decides=True)
    judge.agrees(about(0.5), margin=0.1, at_any_rate=True)
    assert judge.judgement is not None
    assert judge.judgement.verdict == "refuted"


def test_a_search_is_shown_once_and_whole() -> None:
    judge = Judge(CLAIM, CELL)
    for rate in (0.1, 0.1, 0.3):
        facts = search(is_interior=True, rate=rate, label_tokens=[1])
        judge.note_search(facts, decides=True)
    assert [s["rate"] for s in judge.details["searches"]] == [0.1, 0.3]
    assert "label_tokens" not in judge.details["searches"][0]


@pytest.mark.parametrize(("best", "word"), [(0.5, "refuted"), (0.0, "supported")])
def test_gd_at_its_best_at_the_task_is_shown_and_supports_nothing(
    best: float, word: str
) -> None:
    judge = Judge(CLAIM, CELL)
    judge.agrees(about(0.0), margin=0.1, best=about(best, seed=1))
    assert judge.judgement is not None
    assert judge.judgement.verdict == "supported"
    assert f"GD at its best at the task would be {word}" in judge.note
    (effect,) = judge.secondary_effects
    assert effect.name == "gap: GD at its best at the task"


def test_the_best_of_a_similarity_is_shown_too() -> None:
    judge = Judge(CLAIM, CELL)
    judge.reaches_ceiling(
        about(0.9, 1),
        floors={"base": about(0.1, 2)},
        ceiling=about(0.9, 3),
        margin=0.1,
        best=about(0.3, 4),
    )
    assert judge.judgement is not None
    assert judge.judgement.verdict == "supported"
    assert "GD at its best at the task would be refuted" in judge.note


@pytest.mark.parametrize(
    ("best", "verdict"),
    [(0.5, "refuted"), (0.1, "inconclusive"), (0.0, "inconclusive")],
)
def test_refuted_needs_gd_at_its_best_at_the_task_to_be_refuted_too(
    best: float, verdict: str
) -> None:
    judge = Judge(CLAIM, CELL)
    judge.agrees(about(0.5), margin=0.1, best=about(best, seed=1))
    assert judge.judgement is not None
    assert judge.judgement.verdict == verdict
    if verdict == "inconclusive":
        assert "at its best at the task is not" in judge.judgement.reason


@pytest.mark.parametrize(
    ("other", "depends"), [(0.9, False), (0.72, True), (0.2, True)]
)
def test_a_verdict_that_depends_on_the_ceiling_says_so(
    other: float, depends: bool
) -> None:
    judge = Judge(CLAIM, CELL)
    judge.reaches_ceiling(
        about(0.7),
        floors={"none": about(0.2, 1)},
        ceiling=about(0.9, 2),
        margin=0.1,
        other_ceiling=about(other, 3),
    )
    assert judge.judgement is not None
    assert judge.judgement.verdict == "refuted"
    assert ("the verdict depends on the ceiling" in judge.note) == depends
    shown = {effect.name: effect for effect in judge.secondary_effects}
    assert shown["gap: ceiling, ICL on other demonstrations"].value == pytest.approx(
        other, abs=0.01
    )


@pytest.mark.parametrize(
    ("untrained", "verdict", "remark"),
    [
        (0.85, "refuted", "without the arms that have random weights it would be "),
        (0.95, "not_applicable", "it would be supported"),
        (0.1, "supported", ""),
    ],
)
def test_a_verdict_that_depends_on_random_weights_says_so(
    untrained: float, verdict: str, remark: str
) -> None:
    judge = Judge(CLAIM, CELL)
    judge.reaches_ceiling(
        about(0.85),
        floors={"none": about(0.2, 1), UNTRAINED: about(untrained, 4)},
        ceiling=about(0.9, 2),
        margin=0.1,
    )
    assert judge.judgement is not None
    assert judge.judgement.verdict == verdict
    assert remark in judge.note
    assert ("depends on the floor" in judge.note) == bool(remark)
    shares = [e for e in judge.secondary_effects if "of this network alone" in e.name]
    assert len(shares) == bool(remark)
    if shares:
        assert shares[0].value == pytest.approx(0.65 / 0.7, abs=0.01)


@pytest.mark.parametrize(
    ("further", "verdict"),
    [(0.95, "refuted"), (0.7, "supported"), (0.05, "not_applicable")],
)
def test_the_lowest_ceiling_decides_and_all_are_shown(
    further: float, verdict: str
) -> None:
    judge = Judge(CLAIM, CELL)
    judge.reaches_ceiling(
        about(0.7),
        floors={"none": about(0.2, 1)},
        ceiling=about(0.9, 2),
        margin=0.1,
        further_ceilings={"GD itself": about(further, 3)},
    )
    assert judge.judgement is not None
    assert judge.judgement.verdict == verdict
    shown = {effect.name: effect for effect in judge.secondary_effects}
    for name, value in (("ICL and ICL", 0.9), ("GD itself", further)):
        assert shown[f"gap: ceiling, {name}"].value == pytest.approx(value, abs=0.01)
