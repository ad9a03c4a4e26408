"""Do changed labels act on ICL's answers as they act on GD's? (Labels.)"""

from __future__ import annotations

import pytest

from probes.claims import claim
from probes.measures import (
    change_agreement,
    change_size,
    flipped_accuracy,
    flipped_accuracy_over_numbers,
)
from probes.observations.observation import Observation
from probes.verdicts.judge import Judge
from probes.verdicts.thresholds import TENTH

Pair = tuple[Observation, Observation]

CHANGES = ("shuffled", "flipped", "abstract")


@claim(on="text", variants=CHANGES, stand_in="label_total_variation", needs_icl=True)
def test_labels_move_icl_as_they_move_gd(
    icl_relabelled: Pair,
    gd_relabelled: Pair,
    icl_relabelled_reordered: Pair,
    icl_relabelled_other_demonstrations: Pair,
    relabelled_arms: dict[str, tuple[Pair, Pair]],
    judge: Judge,
) -> None:
    """Changing the demonstrations' labels moves ICL's answers as it moves GD's.

    Title:
        Changed labels act alike

    Source:
        Min et al. 2022 and Wei et al. 2023 on ICL; Shen et al. 2024, Hypothesis 1

    Measured:
        agreement ⟨Δ_ICL, Δ_GD⟩ of the changes of label probabilities, between floor and
        ceiling

    Reported:
        not measured side by side

    Margin:
        a tenth of the way from no learning to ICL's likeness to itself in another order
    """
    judge.record(ICL=change_size(*icl_relabelled), GD=change_size(*gd_relabelled))
    judge.reaches_ceiling(
        change_agreement(icl_relabelled, gd_relabelled),
        floors={
            arm: change_agreement(*pairs) for arm, pairs in relabelled_arms.items()
        },
        ceiling=change_agreement(icl_relabelled, icl_relabelled_reordered),
        margin=TENTH,
        other_ceiling=change_agreement(
            icl_relabelled, icl_relabelled_other_demonstrations
        ),
    )


@claim(on="text", stand_in="equal accuracy", needs_icl=True, needs_labels=True)
@pytest.mark.usefixtures("flips_win_somewhere")
def test_labels_win_over_priors(
    icl_flipped_by_number: dict[str, Observation],
    gd_flipped_by_number: dict[str, Observation],
    gd_nearest_flipped_by_number: dict[str, Observation],
    untrained_flipped_by_number: dict[str, dict[str, Observation]],
    base: Observation,
    judge: Judge,
) -> None:
    """Flipped labels win over ICL's priors with as few demonstrations as over GD's.

    Title:
        Flipped labels win as early

    Source:
        Kossen et al. 2024, arXiv:2307.12375 (ICL does not fully overcome its priors);
        Wei et al. 2023, arXiv:2303.03846

    Measured:
        share of answers that follow the flipped labels, averaged over 1, 2, 4, …
        demonstrations; ICL − GD

    Reported:
        GD crosses over to the flipped labels, ICL stays behind; figures only

    Controls:
        both curves, number by number; not applicable if neither follows any flip

    Margin:
        as for equal accuracy: a third of the .29 that Shen et al. report
    """
    curves = icl_flipped_by_number, gd_nearest_flipped_by_number, gd_flipped_by_number
    for curve in (*curves, {"base": base}):
        judge.record(**{name: flipped_accuracy(point) for name, point in curve.items()})
    ours, theirs, best = (
        flipped_accuracy_over_numbers(list(curve.values())) for curve in curves
    )
    bare = {
        arm: flipped_accuracy_over_numbers(list(curve.values()))
        for arm, curve in untrained_flipped_by_number.items()
    }
    judge.control(
        ours.minus(theirs), [bare["ICL"].minus(bare["GD"])], better="nearer 0"
    )
    margin = 0.1
    judge.agrees(ours.minus(theirs), margin=margin, best=ours.minus(best))
