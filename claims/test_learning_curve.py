"""Does GD's loss fall with more demonstrations as ICL's does? (Learning curves.)"""

from __future__ import annotations

import pytest

from probes.claims import claim
from probes.measures import (
    answer_loss,
    gaps_both_ways,
    loss_gap,
    loss_over_numbers,
)
from probes.measures.learning_curves import Curve
from probes.observations.observation import Observation
from probes.verdicts.judge import Judge
from probes.verdicts.thresholds import TENTH


@claim(on="text", needs_icl=True, least_demonstrations=2)
@pytest.mark.usefixtures("icl_loss_falls")
def test_same_learning_curve(
    icl_curve: Curve,
    gd_curve: Curve,
    untrained_curves: dict[str, Curve],
    icl_reordered: Observation,
    icl_other_demonstrations: Observation,
    notes_laws_of_curves: None,
    judge: Judge,
) -> None:
    """After any number of demonstrations, GD's loss has fallen as far as ICL's has.

    Title:
        Same learning curve

    Source:
        Arora et al. 2024, arXiv:2410.16531, give ICL's curve a Bayesian law; Falck et
        al. 2024, arXiv:2406.00793, deny that ICL is Bayesian

    Measured:
        −log p of the right answer after GD − in ICL, after 1, 2, 4, … demonstrations,
        over the whole fall of ICL's; each must lie within the margin

    Reported:
        a Bayesian law fits ICL's curves as well as power laws or better; the martingale
        fails on long paths

    Controls:
        a power law and a Bayesian law, fitted to either curve

    Margin:
        a tenth of what ICL learns from all demonstrations, as in claims of similarity
    """
    most = max(icl_curve)
    judge.record(**{f"ICL after {n}": answer_loss(o) for n, o in icl_curve.items()})
    judge.record(**{f"GD after {n}": answer_loss(o) for n, o in gd_curve.items()})
    judge.record(
        another_order=loss_gap(icl_curve, {most: icl_reordered}, most),
        others=loss_gap(icl_curve, {most: icl_other_demonstrations}, most),
    )
    ours, theirs = map(loss_over_numbers, (icl_curve, gd_curve))
    bare = {name: loss_over_numbers(curve) for name, curve in untrained_curves.items()}
    judge.control(
        ours.minus(theirs), [bare["ICL"].minus(bare["GD"])], better="nearer 0"
    )
    judge.stays_below(*gaps_both_ways(icl_curve, gd_curve), margin=TENTH)
