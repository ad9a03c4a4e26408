"""A known answer fails if the formula of its measure is broken.

Every measure is broken in every place where a sign, a normalisation, a factor, a power,
a comparison or a function can be wrong, and its arms are swapped. Its known answer must
hold for the measure as it is and for no mutant, except for those that are the same
function, which are named here with the reason.
"""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import numpy as np
import pytest

from probes import measures
from probes.models import attention_weights
from probes.observations.observation import Observation
from tests.support.known_answers import BENEATH, KNOWN, is_known
from tests.support.mutation import Mutant, mutants

SYMMETRIC = "neither of the two comes first"
ROUNDING = "only rounding gets there"
SHIFTED = "a shift of all values leaves their spread"
SCALED = "a factor of one side leaves a cosine"
RANKED = "a factor, or turning both round, leaves how the two rankings compare"
SMALLEST = "a factor leaves which is the smallest"
ON_TEXT = ("total_variation", "label_total_variation", "token_overlap")
INSIDE = ("update_cosine", "normalised_update_cosine", "activation_cosine",
          "attention_cosine", "attention_change_cosine",
          "representation_similarity")  # fmt: skip
DIVERGENCES = ("jensen_shannon", "label_jensen_shannon")
OVERLAPS = ("overlap_cosine", "overlap_similarity")
ORDERS = tuple(name for name in KNOWN if name.endswith("order_sensitivity"))
MORE = ("change_agreement", "weight_distance")
DISTANCES = ("prediction_distance", "squared_distance", "sensitivity_cosine",
             "sensitivity_distance")  # fmt: skip
KENDALL = ("attention_rank_correlation",)
SAME: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        (*ON_TEXT, *DIVERGENCES, *OVERLAPS, *DISTANCES, *MORE),
        "ours ↔ theirs",
        SYMMETRIC,
    ),
    ((*INSIDE, *KENDALL, "corrections_apart"), "icl ↔ learner", SYMMETRIC),
    (("change_size",), "before ↔ after", SYMMETRIC),
    (("coverage_elsewhere",), "learner ↔ base", "it is asked where both are wrong"),
    (
        DIVERGENCES,
        "np.clip(nats / np.log(2), 0.0, 1.0)  →  nats / np.log(2)",
        ROUNDING,
    ),
    (
        OVERLAPS,
        "p - np.where(shared.any(-1), p.max(-1), 0.0)[..., None]  →  "
        "p + np.where(shared.any(-1), p.max(-1), 0.0)[..., None]",
        SCALED,
    ),
    (
        OVERLAPS,
        "q - np.where(shared.any(-1), q.max(-1), 0.0)[..., None]  →  "
        "q + np.where(shared.any(-1), q.max(-1), 0.0)[..., None]",
        SCALED,
    ),
    (ORDERS, "stacked - stacked[0]  →  stacked + stacked[0]", SHIFTED),
    (
        ("sensitivity_cosine",),
        "np.clip(np.where(both_zero, 1.0, cosine), -1.0, 1.0)  →  "
        "np.where(both_zero, 1.0, cosine)",
        ROUNDING,
    ),
    (
        ("normalised_update_cosine",),
        "np.linalg.norm(a, axis=-1, keepdims=True) + 1e-20  →  "
        "np.linalg.norm(a, axis=-1, keepdims=True) - 1e-20",
        ROUNDING,
    ),
    (
        KENDALL,
        "scores - scores.max(axis=-1, keepdims=True)  →  "
        "scores + scores.max(axis=-1, keepdims=True)",
        RANKED,
    ),
    (
        KENDALL,
        "weights.sum(axis=-1, keepdims=True)  →  weights.mean(axis=-1, keepdims=True)",
        RANKED,
    ),
    (
        KENDALL,
        "owners[..., None] == np.arange(owners.max() + 1)  →  "
        "owners[..., None] != np.arange(owners.max() + 1)",
        RANKED,
    ),
    (
        ("additivity_gap",),
        "effects((alone, before)).sum(axis=1)  →  "
        "effects((alone, before)).mean(axis=1)",
        "the scale of the sum is fitted",
    ),
    (
        ("influence_slope",),
        "np.abs(changes).sum(axis=-1)  →  np.abs(changes).mean(axis=-1)",
        "the unit is the mean influence",
    ),
    (("influence_rank_correlation",), "ours ↔ theirs", SYMMETRIC),
    (
        ("influence_rank_correlation",),
        "np.exp(observation.outcome_log_probs)  →  observation.outcome_log_probs",
        "a logarithm leaves the ranking",
    ),
    (
        ("influence_rank_correlation",),
        "np.sign(differences).sum(axis=2) / 2  →  np.sign(differences).sum(axis=2)",
        SCALED,
    ),
    (
        ("influence_rank_correlation",),
        "np.sign(differences).sum(axis=2)  →  np.sign(differences).mean(axis=2)",
        SCALED,
    ),
    (
        ("loss_gap", "gaps_both_ways"),
        "-answers.right_log_probs  →  answers.right_log_probs",
        "the gap and its unit turn round together",
    ),
    (
        ("bayesian_law_error",),
        "odds + k * ratio  →  odds - k * ratio",
        "the two hypotheses change places",
    ),
    (
        ("step_matching",),
        "of_sets[:, :, None] * of_queries[:, None, :] / (n_sets * n_queries)  →  "
        "of_sets[:, :, None] * of_queries[:, None, :]",
        SMALLEST,
    ),
    (("step_matching",), "n_sets * n_queries  →  n_sets", SMALLEST),
    (
        ("product_sparsity",),
        "FACTORS  →  PRODUCTS",
        "it is a default that is not used here",
    ),
    (("gaussian_hoyer",), "FACTORS  →  PRODUCTS", "what is read is replaced"),
)
"""Mutants that are the same function: of which measures, which mutant, and why."""

READS = {
    "weight_drift": "reads one number; the formula is broken in test_weights",
    "gap_after_matching": "reads what a search chose; it computes nothing",
}
"""Measures without a formula of their own."""


def module_of(name: str) -> Any:
    return importlib.import_module(getattr(measures, name).__module__)


def same(name: str) -> list[str]:
    return sorted(mutant for of, mutant, _ in SAME if name in of)


def survivors(module: Any, name: str, answer: Any) -> tuple[int, list[str]]:
    """Count the mutants of a function, and name those that its answer lets pass."""
    found, alive = 0, []
    for mutant in mutants(module, name):
        found += 1
        if passes(mutant, answer):
            alive.append(mutant.said)
    return found, alive


def passes(mutant: Mutant, answer: Any) -> bool:
    """Say whether a mutant gives the known answer; one that raises does not."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return is_known(answer, mutant.function)
        except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError):
            return False


def test_every_measure_has_a_known_answer() -> None:
    named = {name: getattr(measures, name) for name in measures.__all__}
    functions = [name for name, one in named.items() if not isinstance(one, type)]
    assert sorted(KNOWN) == sorted(functions)  # classes are criteria: test_likeness


@pytest.mark.parametrize("name", KNOWN)
def test_a_broken_measure_misses_its_known_answer(name: str) -> None:
    assert is_known(KNOWN[name], getattr(measures, name))
    n_mutants, alive = survivors(module_of(name), name, KNOWN[name])
    assert sorted(alive) == same(name)
    assert n_mutants > len(alive) or name in READS


@pytest.mark.parametrize("name", BENEATH)
def test_a_broken_statistic_of_weights_misses_its_known_answer(name: str) -> None:
    assert is_known(BENEATH[name], getattr(attention_weights, name))
    n_mutants, alive = survivors(attention_weights, name, BENEATH[name])
    assert sorted(alive) == same(name)
    assert n_mutants > len(alive)


def test_labels_that_are_not_renormalised_are_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of_labels = [name for name in KNOWN if name.startswith("label_")]
    unscaled = {"label_accuracy", "label_neighbours"}  # they read no probabilities
    of_labels = [n for n in [*of_labels, "gold_probability"] if n not in unscaled]
    bare = property(lambda o: o.log_probs[..., o.label_tokens])
    monkeypatch.setattr(Observation, "label_log_probs", bare)
    for name in of_labels:
        assert not is_known(KNOWN[name], getattr(measures, name)), name
