"""Do trained weights look and behave as constructed ones do? (Weights; Shen.)"""

from __future__ import annotations

import pytest

from probes.claims import claim
from probes.measures import (
    constructed_sparsity,
    gaussian_hoyer,
    gaussian_sparsity,
    hoyer,
    label_accuracy,
    participating,
    prediction_distance,
    product_sparsity,
    sparsities,
    sparsity,
    weight_drift,
)
from probes.measures.weight_sparsity import layer_sparsity
from probes.observations.observation import Observation
from probes.verdicts.judge import Judge
from probes.verdicts.negative_controls import UNTRAINED

# Half of the .40 by which a construction's W_V with a dense Gaussian W_0, a quarter of
# its entries, exceeds a whole Gaussian in Hoyer's sparsity: √(2/π) (1 − √¼).
SPARSER = 0.2
NOISE = "noise 0.1"  # a tenth of the weights' size, below what training moves them by


@claim(on="text")
def test_weights_are_sparse_as_constructed(
    weights: Observation, untrained_weights: Observation, judge: Judge
) -> None:
    """Attention weights are sparse, as a construction's are: more than untrained ones.

    Title:
        Weights as sparse as constructed

    Source:
        Shen et al. 2024, Figure 1 (LLaMA-7B: .33 to .41 below .01)

    Measured:
        Hoyer's sparsity of W_Q, W_K, W_V, trained − untrained; also shares of |w| < δ

    Reported:
        LLaMA below .01: W_V .405, W_Q and W_K .33; a Gaussian of its scale .343

    Controls:
        a Gaussian of the same scale; products W_KᵀW_Q

    Margin:
        half of the .40 by which a construction's W_V exceeds a Gaussian in Hoyer's
        sparsity
    """
    arms = {"trained": weights, UNTRAINED: untrained_weights}
    judge.record(*sparsities(weights), constructed_sparsity(weights))
    judge.record(layer_sparsity=layer_sparsity(weights))
    judge.record(**{UNTRAINED: sparsity(untrained_weights, below=1e-3)})
    judge.record(**{UNTRAINED: sparsity(untrained_weights, below=1e-4)})
    judge.record(**{name: gaussian_sparsity(arm) for name, arm in arms.items()})
    judge.record(**{name: product_sparsity(arm) for name, arm in arms.items()})
    judge.record(trained=hoyer(weights))
    judge.record(**{name: participating(arm) for name, arm in arms.items()})
    judge.control(sparsity(weights), [sparsity(untrained_weights)], better="higher")
    judge.control(hoyer(weights), [hoyer(untrained_weights)], better="higher")
    judge.exceeds_in_whole(
        hoyer(weights).minus(hoyer(untrained_weights)), margin=SPARSER
    )


@claim(
    on="regression",
    layers=(1, 99),
    datasets=("linear", "linear_5"),  # weights know nothing of data
)
def test_weights_are_sparse_as_constructed_in_regression(
    weights: Observation, judge: Judge
) -> None:
    """The attention matrices are sparser than Gaussians of their scale.

    Title:
        Regression: weights as sparse

    Source:
        von Oswald et al. 2022, Proposition 1, and Shen et al. 2024, Figure 1

    Measured:
        Hoyer's sparsity − that of large Gaussian matrices; also shares of |w| < δ

    Reported:
        the construction: .9999 zeros in W_K and W_Q, .75 in W_V (width 4096)

    Controls:
        Gaussians of the same scale; products of matrices

    Margin:
        half of the .40 by which a construction's W_V exceeds a Gaussian in Hoyer's
        sparsity
    """
    judge.record(*sparsities(weights), product_sparsity(weights))
    judge.record(layer_sparsity=layer_sparsity(weights))
    judge.record(gaussian_sparsity(weights), hoyer(weights), participating(weights))
    judge.exceeds_in_whole(
        hoyer(weights).minus(gaussian_hoyer(weights)), margin=SPARSER
    )


@claim(on="text", needs_icl=True)
def test_robust_to_weight_change(
    icl: Observation,
    icl_disturbed: dict[str, Observation],
    untrained_icl: Observation,
    untrained_icl_disturbed: dict[str, Observation],
    judge: Judge,
) -> None:
    """ICL is as accurate when noise of a tenth of their size is added to the weights.

    Title:
        ICL withstands weight noise

    Source:
        Shen et al. 2024, §3 (constructions are brittle, trained models are not)

    Measured:
        label accuracy of ICL − with noise of a tenth of the weights' size

    Reported:
        robust, without figures

    Margin:
        as for equal accuracy: a third of the .29 that Shen et al. report
    """
    judge.record(ICL=label_accuracy(icl))
    judge.record(**{name: label_accuracy(o) for name, o in icl_disturbed.items()})
    bare, noisy = map(label_accuracy, (untrained_icl, untrained_icl_disturbed[NOISE]))
    lost = label_accuracy(icl).minus(label_accuracy(icl_disturbed[NOISE]))
    judge.control(lost, [bare.minus(noisy)], better="nearer 0")
    judge.agrees(lost, margin=0.1)


@claim(on="regression", datasets=("linear",))
def test_robust_to_weight_change_in_regression(
    icl: Observation,
    gd: Observation,
    icl_disturbed: dict[str, Observation],
    judge: Judge,
) -> None:
    """ICL stays a GD step when noise of a tenth of their size is added to the weights.

    Title:
        Regression: withstands noise

    Source:
        Shen et al. 2024, §3 (the constructions are brittle)

    Measured:
        |ŷ_ICL − ŷ_GD| over the root mean square of the answers, with noise of a tenth
        of the weights' size

    Reported:
        brittle, without figures

    Controls:
        no noise

    Margin:
        as for one layer and one step: a twentieth of the answers' size
    """
    arms = {"no noise": icl, **icl_disturbed}
    judge.record(**{name: prediction_distance(arm, gd) for name, arm in arms.items()})
    distance = prediction_distance(icl_disturbed[NOISE], gd)
    judge.stays_below(distance, margin=0.05)


@claim(on="text", needs_icl=True)
@pytest.mark.usefixtures("has_checkpoints")
def test_icl_survives_training_drift(
    icl_over_training: dict[str, Observation],
    drift_over_training: dict[str, Observation],
    untrained_icl_drawn_twice: list[Observation],
    drawn_apart: Observation,
    judge: Judge,
) -> None:
    """ICL stays as accurate while further training moves the weights.

    The control is two draws of random weights, which never learned. Accuracy may also
    stay the same because there is no ICL to lose. The control shows what that looks
    like.

    Title:
        ICL survives training

    Source:
        Shen et al. 2024, §3 (GPT-J: .69 to .76 while the weights move)

    Measured:
        label accuracy of ICL at the last checkpoint − at the first

    Reported:
        .69 to .76 while the weights move (GPT-J)

    Margin:
        the paper's own range, .69 to .76
    """
    right = {name: label_accuracy(icl) for name, icl in icl_over_training.items()}
    judge.record(**right)
    judge.record(**{name: weight_drift(o) for name, o in drift_over_training.items()})
    first, *_, last = right.values()
    bare, drawn_anew = map(label_accuracy, untrained_icl_drawn_twice)
    judge.record(**{UNTRAINED: bare, f"{UNTRAINED}, drawn anew": drawn_anew})
    judge.record(**{f"{UNTRAINED}, drawn anew": weight_drift(drawn_apart)})
    judge.control(last.minus(first), [drawn_anew.minus(bare)], better="nearer 0")
    judge.agrees(last.minus(first), margin=0.07)


@claim(on="text", needs_icl=True)
@pytest.mark.usefixtures("has_late_checkpoints")
def test_icl_survives_late_drift(
    icl_over_late_training: dict[str, Observation],
    drift_over_late_training: dict[str, Observation],
    untrained_icl_drawn_twice: list[Observation],
    drawn_apart: Observation,
    judge: Judge,
) -> None:
    """ICL stays as accurate while the last quarter of training moves the weights.

    Title:
        ICL survives late training

    Source:
        Shen et al. 2024, §3 (GPT-J from step 310k to 380k, the last fifth of training)

    Measured:
        label accuracy of ICL at the last checkpoint − at the first of the last quarter

    Reported:
        .69 to .76 while the weights move (GPT-J)

    Margin:
        the paper's own range, .69 to .76
    """
    right = {n: label_accuracy(icl) for n, icl in icl_over_late_training.items()}
    judge.record(**right)
    drifts = drift_over_late_training.items()
    judge.record(**{name: weight_drift(o) for name, o in drifts})
    first, *_, last = right.values()
    bare, drawn_anew = map(label_accuracy, untrained_icl_drawn_twice)
    judge.record(**{UNTRAINED: bare, f"{UNTRAINED}, drawn anew": drawn_anew})
    judge.record(**{f"{UNTRAINED}, drawn anew": weight_drift(drawn_apart)})
    judge.control(last.minus(first), [drawn_anew.minus(bare)], better="nearer 0")
    judge.agrees(last.minus(first), margin=0.07)
