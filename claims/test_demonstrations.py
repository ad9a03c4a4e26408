"""Does each demonstration act on ICL as it acts on GD? (Single demonstrations.)"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from probes.claims import claim
from probes.measures import (
    additivity_gap,
    influence_rank_correlation,
    influence_slope,
)
from probes.observations.observation import Observation
from probes.verdicts.judge import Judge
from probes.verdicts.thresholds import TENTH

Pair = tuple[Observation, Observation]
Asked = Mapping[str, Observation]
KINDS = ("inner_product", "leave_one_out")

of_several = partial(claim, needs_icl=True, least_demonstrations=2)
on_text = partial(of_several, on="text", stand_in="label_total_variation")
# In domain, and outside it; other inputs would say the same at more cost.
TASKS = ("linear", "linear_skewed", "linear_5")
in_regression = partial(of_several, on="regression", datasets=TASKS)

# A tenth of what all demonstrations do, as in claims of similarity.
ADDED = TENTH
# A fifth of what one pass of SGD shows: at its typical rate each later step keeps
# 1 − 1/d of the square of an effect. For d = N = 10 the last counts 1, the first
# .9^4.5 = .62, the mean .80, so the rise is .47.
RISE = 0.1


@on_text()
def test_demonstrations_add_up(
    icl_demonstrations: Asked,
    gd_demonstrations: Asked,
    untrained_demonstrations: list[Mapping[str, Asked]],
    judge: Judge,
) -> None:
    """The effects of single demonstrations add up in ICL as nearly as they do in GD.

    Title:
        Demonstrations add up alike

    Source:
        one step of GD is a sum over demonstrations; Zhang et al. 2024, arXiv:2401.06469
        (Batch-ICL), average one-shot updates

    Measured:
        ‖Δ_N − aΣΔ_i‖ over the size of Δ_N, the change of the answer's probabilities by
        all N demonstrations, Δ_i by one alone, a fitted on other sets; ICL − GD

    Reported:
        the average of one-shot updates does as well as most orders; the gap was not
        measured

    Controls:
        one linear step, which is 0; eight steps, which are not

    Margin:
        a tenth of what all demonstrations do, as in claims of similarity
    """
    ours, theirs = (
        additivity_gap(**asked) for asked in (icl_demonstrations, gd_demonstrations)
    )
    judge.record(ICL=ours, GD=theirs)
    bare = [
        additivity_gap(**arms["icl"]).minus(additivity_gap(**arms["gd"]))
        for arms in untrained_demonstrations
    ]
    judge.control(ours.minus(theirs), bare, better="nearer 0")
    judge.agrees(ours.minus(theirs), margin=ADDED)


@in_regression()
def test_demonstrations_add_up_in_regression(
    icl_demonstrations: Asked,
    gd_demonstrations: Asked,
    untrained_demonstrations: list[Mapping[str, Asked]],
    judge: Judge,
) -> None:
    """On regression, single demonstrations add up in ICL as nearly as they do in GD.

    Title:
        Regression: they add up alike

    Source:
        one step of GD is a sum over demonstrations; Zhang et al. 2024, arXiv:2401.06469
        (Batch-ICL)

    Measured:
        |Δ_N − aΣΔ_i| over the size of Δ_N, the prediction after all N demonstrations
        less that after none, Δ_i after one alone, a fitted on other sets; ICL − GD

    Reported:
        not measured

    Controls:
        one linear step, which is 0; eight steps, which are not; one layer of linear
        attention, which adds up whatever its weights are; Newton constructions

    Margin:
        a tenth of what all demonstrations do, as in claims of similarity
    """
    ours, theirs = (
        additivity_gap(**asked) for asked in (icl_demonstrations, gd_demonstrations)
    )
    judge.record(ICL=ours, GD=theirs)
    bare = [
        additivity_gap(**arms["icl"]).minus(additivity_gap(**arms["gd"]))
        for arms in untrained_demonstrations
    ]
    judge.control(ours.minus(theirs), bare, better="nearer 0")
    judge.agrees(ours.minus(theirs), margin=ADDED)


@on_text(needs_labels=True)
def test_all_demonstrations_count_alike(
    icl_relabelled_one_by_one: Pair,
    gd_relabelled_one_by_one: Pair,
    untrained_relabelled_one_by_one: list[tuple[Pair, Pair]],
    judge: Judge,
) -> None:
    """ICL weighs labels alike wherever they stand, as full-batch GD does.

    Title:
        All positions count alike

    Source:
        Kossen et al. 2024, arXiv:2307.12375 (what stands near the query counts more)

    Measured:
        influence of the last place less that of the first, by a line through the Σ|Δp|
        of giving one demonstration another label, over the mean; ICL − GD

    Reported:
        after labels switch half-way, ICL follows the later ones; not as a slope

    Controls:
        one pass of SGD, which forgets

    Margin:
        a fifth of the rise of .47 that one pass of SGD shows over ten demonstrations at
        its typical rate
    """
    ours = influence_slope(icl_relabelled_one_by_one)
    theirs = influence_slope(gd_relabelled_one_by_one)
    judge.record(ICL=ours, GD=theirs)
    bare = [
        influence_slope(icl).minus(influence_slope(gd))
        for icl, gd in untrained_relabelled_one_by_one
    ]
    judge.control(ours.minus(theirs), bare, better="nearer 0")
    judge.agrees(ours.minus(theirs), margin=RISE)


@in_regression()
def test_all_demonstrations_count_alike_in_regression(
    icl_relabelled_one_by_one: Pair,
    gd_relabelled_one_by_one: Pair,
    untrained_relabelled_one_by_one: list[tuple[Pair, Pair]],
    judge: Judge,
) -> None:
    """On regression, ICL weighs answers alike wherever they stand, as GD does.

    Title:
        Regression: positions count alike

    Source:
        Kossen et al. 2024, arXiv:2307.12375, who ask it of language models

    Measured:
        influence of the last place less that of the first, by a line through the |Δŷ|
        of turning the sign of one answer, over the mean influence; ICL − GD

    Reported:
        not measured

    Controls:
        one pass of SGD, which forgets

    Margin:
        a fifth of the rise of .47 that one pass of SGD shows over ten demonstrations at
        its typical rate
    """
    ours = influence_slope(icl_relabelled_one_by_one)
    theirs = influence_slope(gd_relabelled_one_by_one)
    judge.record(ICL=ours, GD=theirs)
    bare = [
        influence_slope(icl).minus(influence_slope(gd))
        for icl, gd in untrained_relabelled_one_by_one
    ]
    judge.control(ours.minus(theirs), bare, better="nearer 0")
    judge.agrees(ours.minus(theirs), margin=RISE)


@on_text(variants=KINDS)
def test_same_demonstration_influence(
    icl_influence: Pair,
    gd_influence: Pair,
    gradient_influence: Pair,
    icl_influence_reordered: Pair,
    influence_arms: dict[str, tuple[Pair, Pair]],
    judge: Judge,
) -> None:
    """The demonstrations that move ICL's answers are those that move GD's.

    Title:
        Same influential demonstrations

    Source:
        arXiv:2407.12259 and Zhou et al. 2024, arXiv:2405.14899 (DETAIL): the strongest
        evidence for GD in print

    Measured:
        Spearman's ρ over demonstrations, of the effects on the right answer: leaving
        one out in context; leaving it out of GD, or one small step on it alone, which
        is the inner product of gradients. ICL must come as near to it as GD itself

    Reported:
        well correlated in domain, weaker outside

    Controls:
        GD's influences on another query; an unrelated learner, which is near 0

    Margin:
        a tenth of the way from no learning to ICL's likeness to itself in another order
    """
    judge.reaches_ceiling(
        influence_rank_correlation(icl_influence, gradient_influence),
        floors={
            arm: influence_rank_correlation(*pairs)
            for arm, pairs in influence_arms.items()
        },
        ceiling=influence_rank_correlation(icl_influence, icl_influence_reordered),
        further_ceilings={
            "GD itself": influence_rank_correlation(gd_influence, gradient_influence)
        },
        margin=TENTH,
    )


@in_regression(variants=KINDS)
def test_same_demonstration_influence_in_regression(
    icl_influence: Pair,
    gd_influence: Pair,
    gradient_influence: Pair,
    icl_influence_reordered: Pair,
    influence_arms: dict[str, tuple[Pair, Pair]],
    judge: Judge,
) -> None:
    """On regression, the demonstrations that move ICL's predictions move GD's.

    Title:
        Regression: same influences

    Source:
        Zhou et al. 2024, arXiv:2405.14899 (DETAIL), asked of language models

    Measured:
        Spearman's ρ over demonstrations, of the effects on the prediction: leaving one
        out in context; leaving it out of GD, or one small step on it alone, which is
        the inner product of gradients. ICL must come as near to it as GD itself

    Reported:
        well correlated in domain, weaker outside, on language models

    Controls:
        GD's influences on another query; constructions of other algorithms

    Margin:
        a tenth of the way from no learning to ICL's likeness to itself in another order
    """
    judge.reaches_ceiling(
        influence_rank_correlation(icl_influence, gradient_influence),
        floors={
            arm: influence_rank_correlation(*pairs)
            for arm, pairs in influence_arms.items()
        },
        ceiling=influence_rank_correlation(icl_influence, icl_influence_reordered),
        further_ceilings={
            "GD itself": influence_rank_correlation(gd_influence, gradient_influence)
        },
        margin=TENTH,
    )
