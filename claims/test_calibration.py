"""Are GD's probabilities as well calibrated as ICL's? (Calibration.)"""

from __future__ import annotations

import pytest

from probes.claims import claim
from probes.measures import (
    brier_score,
    expected_calibration_error,
    label_accuracy,
    label_loss,
    squared_calibration_error,
)
from probes.observations.observation import Observation
from probes.verdicts.judge import Judge

MATCHED = ("gd_at_equal_accuracy", "gd_at_equal_loss", "gd_at_equal_change")


@claim(
    on="text",
    variants=("gd",),
    full_variants=MATCHED,
    stand_in="label_total_variation",
    needs_labels=True,
    needs_icl=True,
)
@pytest.mark.usefixtures("gd_matches")
def test_same_calibration(
    icl: Observation,
    gd: Observation,
    gd_nearest: Observation,
    icl_reordered: Observation,
    base: Observation,
    untrained_icl: Observation,
    untrained_gd: Observation,
    judge: Judge,
) -> None:
    """GD's confidence is as far from its accuracy as ICL's is.

    Title:
        Confidence as well calibrated

    Source:
        Mishra et al. 2025, arXiv:2509.22621 (IA2): fine-tuning is worse calibrated

    Measured:
        squared calibration error over the labels, without the bias of ECE at few
        queries; ICL − GD; also ECE, Brier score and NLL

    Reported:
        ECE, ICL and fine-tuning: AG News .13 and .52, SST-2 .13 and .22 (Qwen3-4B, 4
        demonstrations)

    Margin:
        a third of the smaller difference reported, .22² − .13² = .0315
    """
    arms = {"ICL": icl, "GD": gd_nearest, "best": gd, "base": base}
    for measure in (label_accuracy, expected_calibration_error, brier_score):
        judge.record(**{name: measure(arm) for name, arm in arms.items()})
    judge.record(**{name: label_loss(arm) for name, arm in arms.items()})
    errors = {name: squared_calibration_error(arm) for name, arm in arms.items()}
    judge.record(**errors, another_order=squared_calibration_error(icl_reordered))
    ours, theirs = errors["ICL"], errors["GD"]
    bare = squared_calibration_error(untrained_icl)
    bare = bare.minus(squared_calibration_error(untrained_gd))
    judge.control(ours.minus(theirs), [bare], better="nearer 0")
    margin = 0.01
    judge.agrees(ours.minus(theirs), margin=margin, best=ours.minus(errors["best"]))
