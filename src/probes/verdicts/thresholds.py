"""Every threshold of a verdict, each with its reason."""

from __future__ import annotations

ALPHA = 0.05

"""Chance of a false *supported* at the margin that a single cell may have."""

LEVEL = 1 - 2 * ALPHA

"""Level of intervals: two one-sided tests at ALPHA are one 90 % interval."""

TENTH = 0.1

"""The margin of every claim that compares a similarity with its floor and ceiling: a
tenth of the way from no learning to ICL's likeness to itself in another order."""

TAIL = 3.5

"""The weight of skewness in p-values, because ten sets show less than a third of a
long tail. It is the smallest multiple of ½ that kept false *supported* at the margin at
6 % or less in every world of the calibration study, also if values are as skewed as a
lognormal (see ``reports/calibration``)."""

POWER = 0.8

"""The chance of a decision for which sets are planned."""

FEW_SETS = 10

FEW_QUERIES = 10

FEW_FACTOR = 6

"""The factor of every p with fewer than FEW_SETS demonstration sets or FEW_QUERIES
queries, which show even less of a tail; from the same study."""

LEAST_SETS = 5

LEAST_QUERIES = 4

"""With fewer, the spread is practically unknown: at the margin the rule above would say
*supported* in up to 11 % of runs with three sets and 7 % with four; in up to 44 % with
one query, which has no spread, and 9 % with three (worst worlds of the study)."""

LEAST_P_OF_ONE_SET = 0.03

"""A *supported* p-value is never treated as smaller than this, divided by the number of
sets (see :func:`least_p`)."""


def level_with(shape: tuple[int, ...], alpha: float = ALPHA) -> float:
    """Give the level of intervals that matches the p-values for a shape."""
    return 1 - 2 * alpha / (FEW_FACTOR if are_few(shape) else 1)


def are_few(shape: tuple[int, ...]) -> bool:
    """Say whether a shape has too few sets or queries to show a tail."""
    n_sets, n_queries = shape[-2:]
    return n_sets < FEW_SETS or n_queries < FEW_QUERIES


def least_p(n_sets: int) -> float:
    """Give the smallest p of *supported* that enters the correction over a matrix.

    A level of 5 % holds at the margin where values are skewed, one of .1 % does not:
    ten sets that show nothing of a long tail, or all fall on one side, have tiny p in
    1 % of runs. A correction over many cells that trusts such p finds a false
    *supported* in up to 36 % of matrices of 48 cells in which no claim holds. With
    this smallest p, it takes three such cells among 48 (at 10 sets), which happens in
    3 %. A matrix in which many claims hold loses nothing.
    """
    return LEAST_P_OF_ONE_SET / n_sets
