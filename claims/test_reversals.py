"""Does GD generalise as ICL does? (Reversals.)"""

from __future__ import annotations

import pytest

from probes.claims import claim
from probes.measures import gold_probability, label_accuracy
from probes.observations.observation import Observation
from probes.verdicts.judge import Judge


@claim(
    on="text",
    needs_reversal=True,
    least_demonstrations=30,  # all are asked, and a verdict needs 30 queries
    stand_in="equal accuracy",
)
@pytest.mark.usefixtures("somebody_reverses_facts")
def test_generalises_alike(
    icl_direct: Observation,
    gd_direct: Observation,
    icl_reversed: Observation,
    gd_reversed: Observation,
    best_gd_reversed: Observation,
    icl_reversed_reordered: Observation,
    base_reversed: Observation,
    untrained_reversed: tuple[Observation, Observation],
    judge: Judge,
) -> None:
    """GD that has learned facts as well as ICL answers them in reverse as well.

    Title:
        Same recall in reverse

    Source:
        Lampinen et al. 2025, arXiv:2505.00661; the reversal curse, Berglund et al.
        2023, arXiv:2309.12288

    Measured:
        share of demonstrated facts X → Y whose X is given for Y; ICL − GD that gives Y
        for X as often as ICL

    Reported:
        ICL near 1 and fine-tuning near 0, on nonsense facts

    Controls:
        both in the direct form

    Margin:
        as for equal accuracy; a tenth of what is reported
    """
    judge.record(ICL=label_accuracy(icl_direct), GD=label_accuracy(gd_direct))
    ours, theirs = label_accuracy(icl_reversed), label_accuracy(gd_reversed)
    judge.record(ICL=ours, GD=theirs, base=label_accuracy(base_reversed))
    judge.record(another_order=label_accuracy(icl_reversed_reordered))
    judge.record(ICL=gold_probability(icl_reversed), GD=gold_probability(gd_reversed))
    bare, trained = map(label_accuracy, untrained_reversed)
    judge.control(ours.minus(theirs), [bare.minus(trained)], better="nearer 0")
    best = label_accuracy(best_gd_reversed)
    margin = 0.1
    judge.agrees(ours.minus(theirs), margin=margin, best=ours.minus(best))
