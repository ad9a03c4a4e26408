"""Every threshold of a verdict, each with its reason."""

from __future__ import annotations

ALPHA = 0.05

"""Chance of a false *supported* at the margin that a single cell may have."""

LEVEL = 1 - 2 * ALPHA

"""Level of intervals: two one-sided tests at ALPHA are one 90 % interval."""

TENTH = 0.1

"""The margin of every claim that compares a similarity with its floor and ceiling: a
tenth of the way from no learning to ICL's likeness to itself in another order."""

WIDENING = 7.0

"""How much skewness widens an interval on the side of the long tail, because ten sets
show less than a third of it: the standard error counts 1 + WIDENING · skewness of the
mean. In trial runs of 3000 matrices, with ten sets or more, 5 gave up to 6.5 % false
*supported*, 6 up to 5.7 % and 8 up to 5 %; 7 was taken before the study ran. It keeps
both errors at 6 % or less in every world, also if values are as skewed as a lognormal
(see ``reports/calibration``)."""

POWER = 0.8

"""The chance of a decision for which sets are planned."""

FEW_SETS = 10

FEW_FACTOR = 4

"""The factor of every p with fewer than FEW_SETS demonstration sets, which show even
less of a tail; from the same study."""

LEAST_SETS = 5

"""With fewer, the spread is practically unknown: at the margin the rule above would say
*supported* in up to 12 % of runs with three sets (worst worlds of the study)."""

LEAST_QUERIES = 30

"""With fewer, a failure on rare queries is not seen: if a claim fails on one query in
ten and holds on all others, 20 queries contain no such query in 12 % of runs, and 30 in
4 %."""

LEAST_GAIN = 0.05

"""The gain, as a share of the right answers or of their variance, that must be excluded
before a cell is *not applicable*: half of the difference in accuracy that claims call
equal. A gate that is shut by mistake hides a verdict, so it shuts only on evidence."""

SEVERAL_FACTOR = 4

"""The factor of p of *refuted* where several means are judged at once. It is the
smallest whole number that kept false *refuted* at 6 % or less with five means in every
world of the study: to find the smallest of several p takes p far below 5 %, which are
too small where values are very skewed."""

LEAST_P_OF_ONE_SET = 0.05

"""No p-value is treated as smaller than this, divided by the number of sets (see
:func:`least_p`)."""


def level_with(shape: tuple[int, ...], alpha: float = ALPHA) -> float:
    """Give the level of intervals that matches the p-values for a shape."""
    return 1 - 2 * alpha / (FEW_FACTOR if are_few(shape) else 1)


def are_few(shape: tuple[int, ...]) -> bool:
    """Say whether a shape has too few sets to show a tail."""
    return shape[-2] < FEW_SETS


def least_p(n_sets: int) -> float:
    """Give the smallest p that enters the correction over a matrix.

    A level of 5 % holds at the margin where values are skewed, one of .1 % does not:
    ten sets that show nothing of a long tail, or all fall on one side, have tiny p in
    1 % of runs. A correction over many cells that trusts such p finds a false verdict
    in a third of matrices of 48 cells. With this smallest p, it takes five such cells
    among 48 (at 10 sets): more than three cells that share nearly all their answers. A
    matrix in which many claims hold, or fail, loses nothing.
    """
    return LEAST_P_OF_ONE_SET / n_sets
