"""The ICL gate: which cells it dismisses, and that every caller reads the same list."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from probes.cell import Cell, Settings
from probes.claims import ClaimCard
from probes.observations.observation import Observation
from probes.run.icl_gate import ICL_GATES, gate_observations
from probes.verdicts.judge import Judge
from probes.verdicts.outcomes import Undecided
from tests.support.cards import dataset, model, network

N_SETS, N_QUERIES = 10, 30
SIZES = Settings(n_sets=N_SETS, n_queries=N_QUERIES)
TEXT = Cell(
    model=model("llama"), dataset=dataset("rows"), n_demonstrations=4, settings=SIZES
)
REGRESSION = replace(
    TEXT,
    model=network("trained", kind="learned"),
    dataset=dataset("tasks", family="regression"),
)
rng = np.random.default_rng(0)
GOLD = rng.integers(0, 2, (N_SETS, N_QUERIES))
TARGETS = rng.normal(size=(N_SETS, N_QUERIES))


def judge_of(cell: Cell, **given: Any) -> Judge:
    card = ClaimCard(
        name="c", sentence="It is so.", source="§1", on=cell.dataset.family, **given
    )
    return Judge(card, cell)


def answered(right: float) -> Observation:
    """Answer every query with a probability of the right label, of two."""
    chances = np.where(np.arange(2) == GOLD[..., None], right, 1 - right)
    return Observation(
        arrays={"log_probs": np.log(chances), "gold": GOLD},
        facts={"label_tokens": [0, 1]},
    )


def predicted(share: float) -> Observation:
    return Observation(arrays={"predictions": share * TARGETS, "answers": TARGETS})


def check_all(judge: Judge, observations: dict[str, Observation]) -> None:
    for requirement in ICL_GATES[judge.claim.on]:
        requirement.check(judge, *(observations[n] for n in requirement.observations))


@pytest.mark.parametrize(
    ("base", "shuffled", "reason"),
    [
        (0.5, 0.5, None),
        (0.9, 0.5, "ICL gains nothing over zero-shot: nothing to explain"),
        (0.5, 0.9, "ICL gains nothing over shuffled labels: nothing to explain"),
    ],
)
def test_text_must_gain_over_zero_shot_and_over_shuffled_labels(
    base: float, shuffled: float, reason: str | None
) -> None:
    arms = {"icl": 0.8, "base": base, "icl_shuffled_labels": shuffled}
    observations = {name: answered(right) for name, right in arms.items()}
    judge = judge_of(TEXT)
    if reason is None:
        check_all(judge, observations)
        assert judge.judgement is None
        return
    with pytest.raises(Undecided, match=reason):
        check_all(judge, observations)
    assert judge.judgement is not None
    assert judge.judgement.verdict == "not_applicable"


def open_answers(right: float) -> Observation:
    """Give every right answer a probability, whatever the first token's is."""
    shape = (N_SETS, N_QUERIES)
    return Observation(
        arrays={
            "log_probs": np.log(np.full((*shape, 3), 1 / 3)),
            "right_log_probs": np.log(np.full(shape, right)),
            "is_right": np.zeros(shape, dtype=bool),
            "gold_tokens": np.zeros((*shape, 1), dtype=np.int64),
        }
    )


@pytest.mark.parametrize(("shuffled", "is_open"), [(0.1, True), (0.8, False)])
def test_open_answers_must_gain_in_the_probability_of_whole_answers(
    shuffled: float, is_open: bool
) -> None:
    arms = {"icl": 0.8, "base": 0.1, "icl_shuffled_labels": shuffled}
    observations = {name: open_answers(right) for name, right in arms.items()}
    if is_open:
        check_all(judge_of(TEXT), observations)
        return
    with pytest.raises(Undecided, match="ICL gains nothing over shuffled labels"):
        check_all(judge_of(TEXT), observations)


def test_regression_must_err_less_than_the_answer_0() -> None:
    check_all(judge_of(REGRESSION), {"icl": predicted(0.8)})
    with pytest.raises(Undecided, match="as much as the answer 0"):
        check_all(judge_of(REGRESSION), {"icl": predicted(-0.8)})


def test_what_algebra_decides_needs_no_evidence_of_learning() -> None:
    constructed = replace(REGRESSION, model=network("gd"))
    check_all(judge_of(constructed), {"icl": predicted(-0.8)})
    check_all(judge_of(REGRESSION, identity=True), {"icl": predicted(-0.8)})


def test_the_plan_names_what_the_gate_compares_and_no_observation_twice() -> None:
    assert gate_observations("text") == ["icl", "base", "icl_shuffled_labels"]
    assert gate_observations("regression") == ["icl"]
