"""Is a layer of linear self-attention a step of GD? (Construction; regression.)"""

from __future__ import annotations

from probes.claims import claim
from probes.measures import (
    explained_share,
    lead_of_equal_steps,
    linearity,
    loss_gaps_both_ways,
    prediction_distance,
    sensitivity_cosine,
    sensitivity_distance,
    squared_distance,
    squared_error,
    step_matching,
    weight_distance,
    worst_disagreement,
)
from probes.measures.step_matching import matching_details, matching_remark
from probes.observations.observation import Observation
from probes.verdicts.judge import Judge

# float64 keeps 16 digits; four are left for sums of 10 inputs, 20 terms
ROUNDING = 1e-12
ELSEWHERE = (
    "linear_scaled",
    "linear_skewed",
    "linear_noisy",
    "linear_normal",  # with --grid full, like those below
    "linear_laplace",
    "linear_exponential",
    "linear_strong",
)
# four digits more: errors are squared, and at twice the scale steps grow what they err
SQUARED_ROUNDING = 1e-8
HOME = ("linear", "linear_5")
SAME_LOSS = 0.04  # five times the .8 % by which the published layer's loss exceeds GD's
FLAT = 0.02  # five times what the published layer loses against GD, .0017 of .4167
CLOSE = 0.05  # a twentieth of the answers' size: the published distance .0225 of ~.91


@claim(on="regression", needs_icl=True, layers=(1, 1))
def test_one_layer_is_one_step(
    icl: Observation,
    gd: Observation,
    worst_case: Observation,
    untrained_pairs: list[list[Observation]],
    judge: Judge,
) -> None:
    """One layer of linear self-attention predicts as one GD step does.

    Title:
        One layer is one GD step

    Source:
        von Oswald et al. 2022, Proposition 1 and Figure 2

    Measured:
        |ŷ_ICL − ŷ_GD| over the root mean square of the answers; also on the worst task
        found

    Reported:
        constructed: equal; one learned layer: .0225 of answers of size .91

    Controls:
        GD++, Newton and spoiled constructions

    Margin:
        a twentieth of the answers' size: the published layer is .0225 from GD where
        answers are .91; on constructed networks what rounding leaves, 1e-12
    """
    judge.record(worst_case.facts["counterexample"])
    distance = prediction_distance(icl, gd)
    bare = [prediction_distance(*pair) for pair in untrained_pairs]
    judge.control(distance, bare, better="nearer 0")
    judge.vanishes(
        distance,
        tolerance=ROUNDING,
        margin=CLOSE,
        worst=worst_disagreement(worst_case),
    )


@claim(on="regression", needs_icl=True, layers=(1, 1))
def test_same_sensitivity(
    icl: Observation,
    gd: Observation,
    untrained_pairs: list[list[Observation]],
    judge: Judge,
) -> None:
    """What one layer learns in context has the sensitivities of one GD step.

    Title:
        Same sensitivity to inputs

    Source:
        von Oswald et al. 2022, Figure 2

    Measured:
        ‖∂ŷ_ICL/∂x − ∂ŷ_GD/∂x‖₂, for teachers of standard deviation 1, as in the paper;
        also the cosine

    Reported:
        one learned layer: distance .097, cosine .9993

    Controls:
        the spoiled construction

    Margin:
        twice the published .097, which the paper calls a match; on constructed networks
        what rounding leaves, 1e-12
    """
    cosine = sensitivity_cosine(icl, gd)
    judge.record(cosine)
    bare = [sensitivity_cosine(*pair) for pair in untrained_pairs]
    judge.control(cosine, bare, better="higher")
    margin = 0.2
    judge.vanishes(sensitivity_distance(icl, gd), tolerance=ROUNDING, margin=margin)


@claim(on="regression", variants=("gd", "gdpp"), needs_icl=True, layers=(2, 99))
def test_k_layers_are_k_steps(
    icl: Observation,
    gd: Observation,
    worst_case: Observation,
    untrained_pairs: list[list[Observation]],
    judge: Judge,
) -> None:
    """K layers predict as K steps do.

    Title:
        K layers are K GD steps

    Source:
        von Oswald et al. 2022, Figure 3

    Measured:
        |ŷ_ICL − ŷ_K| over the root mean square of the answers, after K steps of GD or
        of GD++

    Reported:
        learned, two looped layers: sensitivity cosine .952 to GD, .9974 to GD++

    Controls:
        GD++, Newton and spoiled constructions

    Margin:
        a twentieth of the answers' size: the published layer is .0225 from GD where
        answers are .91; on constructed networks what rounding leaves, 1e-12
    """
    judge.record(sensitivity_cosine(icl, gd))
    judge.record(worst_case.facts["counterexample"])
    distance = prediction_distance(icl, gd)
    bare = [prediction_distance(*pair) for pair in untrained_pairs]
    judge.control(distance, bare, better="nearer 0")
    judge.vanishes(
        distance,
        tolerance=ROUNDING,
        margin=CLOSE,
        worst=worst_disagreement(worst_case),
    )


@claim(on="regression", needs_icl=True)
def test_which_algorithm(
    icl: Observation,
    gd: Observation,
    gd_fewer_steps: dict[str, Observation],
    rivals: dict[str, Observation],
    untrained_pairs: list[list[Observation]],
    judge: Judge,
) -> None:
    """GD predicts as ICL does, and no other algorithm does so more nearly.

    Title:
        No algorithm is nearer than GD

    Source:
        Akyürek et al. 2022 §4; disputed by Fu et al. 2023

    Measured:
        SPD: (ŷ_ICL − ŷ_A)² over the mean square of the answers, for GD and each rival
        A; also ILWD: ‖w_ICL − w_A‖²/d of linear fits, and R² of ICL's

    Reported:
        shallow: GD; 2 to 4 layers: ridge; 8 and more: OLS (Akyürek et al. 2022)

    Margin:
        above rounding, far below the distances of 1e-5 and more of Akyürek et al.; on
        constructed networks what rounding leaves, 1e-24
    """
    distance = squared_distance(icl, gd)
    fewer = {name: squared_distance(icl, o) for name, o in gd_fewer_steps.items()}
    judge.record(linearity(icl), GD=distance, **fewer)
    judge.record(GD=weight_distance(icl, gd))
    judge.record(
        **{name: weight_distance(icl, rival) for name, rival in rivals.items()}
    )
    bare = [squared_distance(*pair) for pair in untrained_pairs]
    judge.control(distance, bare, better="nearer 0")
    judge.is_nearest(
        distance,
        {name: squared_distance(icl, rival) for name, rival in rivals.items()},
        tolerance=ROUNDING**2,
        margin=1e-6,
    )


@claim(on="regression", needs_icl=True, layers=(2, 99))
def test_depth_is_steps(
    icl_layers: list[Observation],
    gd_steps: list[Observation],
    step_runs: dict[str, Observation],
    judge: Judge,
) -> None:
    """After each layer, ICL predicts as GD does after as many steps.

    Title:
        Each layer is one more step

    Source:
        von Oswald et al. 2022, Figure 3; disputed by Fu et al. 2023

    Measured:
        |ŷ_ICL − ŷ_GD| over the root mean square of the answers after layer k and k
        steps, for every k

    Reported:
        transformers advance as Newton does, exponentially fast in GD's steps (Fu et
        al.)

    Controls:
        GD++ and Newton constructions, whose layers are no steps of GD

    Margin:
        a twentieth of the answers' size: the published layer is .0225 from GD where
        answers are .91; on constructed networks what rounding leaves, 1e-12
    """
    pairs = list(zip(icl_layers, gd_steps, strict=False))
    distances = [prediction_distance(layer, step) for layer, step in pairs]
    judge.record(*distances)
    matched = {name: step_matching(icl_layers, run) for name, run in step_runs.items()}
    judge.record(step_matching=matching_details(matched))
    judge.record(matching_remark(matched))
    judge.vanishes(*distances, tolerance=ROUNDING, margin=CLOSE)


@claim(on="regression", needs_icl=True, layers=(2, 99))
def test_layers_are_equal_steps(
    icl_layers: list[Observation],
    gd_steps: list[Observation],
    gd_doubling_steps: list[Observation],
    step_runs: dict[str, Observation],
    judge: Judge,
) -> None:
    """With depth, the steps of GD that ICL has taken grow linearly, not exponentially.

    Title:
        Steps grow linearly with depth

    Source:
        Fu et al. 2023, §4 and Figure 3 (refutes it: linear in Newton's steps)

    Measured:
        mean over layers k of |ŷ_k − ŷ_GD after 2^k − 1 steps| − |ŷ_k − ŷ_GD after k
        steps|, over the root mean square of the answers; either run of GD ends where
        the last layer does, at a rate of its own

    Reported:
        transformers: linear in Newton's steps, exponential in GD's

    Controls:
        constructions of GD, which are linear, and of Newton, which are exponential

    Margin:
        a fifth of the .05 that counts as a match of answers
    """
    matched = {name: step_matching(icl_layers, run) for name, run in step_runs.items()}
    judge.record(matching_remark(matched))
    lead = lead_of_equal_steps(icl_layers, gd_steps, gd_doubling_steps)
    judge.exceeds(lead, margin=CLOSE / 5)


@claim(on="regression", needs_icl=True, datasets=ELSEWHERE)
def test_same_rule_elsewhere(
    icl: Observation, gd_from_home: Observation, judge: Judge
) -> None:
    """The step that matches ICL on its own inputs matches it on other inputs too.

    Title:
        Same step on other inputs

    Source:
        von Oswald et al. 2022, Figure 2 (right) and Appendix

    Measured:
        |ŷ_ICL − ŷ_GD| over the root mean square of the answers, at the rate that was
        fitted on other inputs

    Reported:
        one learned layer: the losses of the two coincide

    Controls:
        inputs scaled, skewed and noisy, normal, Laplace and exponential; larger
        teachers; constructions of other algorithms

    Margin:
        a twentieth of the answers' size: the published layer is .0225 from GD where
        answers are .91; on constructed networks what rounding leaves, 1e-12
    """
    judge.record(sensitivity_cosine(icl, gd_from_home))
    judge.vanishes(
        prediction_distance(icl, gd_from_home), tolerance=ROUNDING, margin=CLOSE
    )


@claim(on="regression", needs_icl=True, datasets=HOME)
def test_same_loss_elsewhere(
    icl_elsewhere: dict[str, Observation],
    gd_elsewhere: dict[str, Observation],
    judge: Judge,
) -> None:
    """At every scale and on every kind of inputs, ICL has GD's loss.

    Title:
        Same loss on other inputs

    Source:
        von Oswald et al. 2022, Figure 2 (right) and Appendix: loss curves over scales

    Measured:
        (ŷ_ICL − y)² − (ŷ_GD − y)² over the mean of (ŷ_GD − y)², at GD's rate for the
        inputs of training; at each of four scales of inputs, three scales of teachers
        and three other kinds of inputs; each must lie within the margin, both ways

    Reported:
        one learned layer: the curves coincide

    Controls:
        constructions of other algorithms; both curves, point by point

    Margin:
        five times the .8 % by which the published layer's loss exceeds GD's; on
        constructed networks what rounding leaves, 1e-8, as errors are squared
    """
    for name, observed in icl_elsewhere.items():
        judge.record(**{f"ICL, {name}": squared_error(observed)})
        judge.record(**{f"GD, {name}": squared_error(gd_elsewhere[name])})
    gaps = loss_gaps_both_ways(icl_elsewhere, gd_elsewhere)
    judge.vanishes(*gaps, tolerance=SQUARED_ROUNDING, margin=SAME_LOSS)


@claim(on="regression", needs_icl=True, datasets=("linear_shifted",))
def test_prior_mean(icl: Observation, gd_from_home: Observation, judge: Judge) -> None:
    """ICL predicts as GD from zero does, also where teachers are not zero on average.

    Title:
        Same with a non-zero prior mean

    Source:
        arXiv:2512.04268 (a non-zero prior mean breaks it for trained networks)

    Measured:
        |ŷ_ICL − ŷ_GD| over the root mean square of the answers, for teachers of
        non-zero mean

    Reported:
        broken for learned networks, unless W₀ carries the mean

    Controls:
        constructions of GD, whose W₀ is 0 and which know no mean; a layer that was
        trained on such teachers

    Margin:
        a twentieth of the answers' size: the published layer is .0225 from GD where
        answers are .91; on constructed networks what rounding leaves, 1e-12
    """
    judge.vanishes(
        prediction_distance(icl, gd_from_home), tolerance=ROUNDING, margin=CLOSE
    )


@claim(on="regression", needs_icl=True, needs_pairs=True)
def test_weights_are_the_construction(
    icl_to_construction: list[Observation], judge: Judge
) -> None:
    """The network's weights can be mixed with those that are GD without loss.

    Title:
        Weights are the GD construction

    Source:
        von Oswald et al. 2022, §3 and Figure 2

    Measured:
        explained share of each end minus that of every mixture of weights

    Reported:
        one learned layer: no loss on the way; five layers: loss

    Controls:
        GD++ and spoiled constructions; untrained layers

    Margin:
        five times what the published layer loses against GD, .0017 of .4167; on
        constructed networks what rounding leaves, 1e-12
    """
    path = [explained_share(mixed) for mixed in icl_to_construction]
    judge.record(*path)
    losses = [
        end.minus(mixed)
        for end in (path[0], path[-1])
        for mixed in path
        if mixed is not end
    ]
    judge.vanishes(*losses, tolerance=ROUNDING, margin=FLAT)
