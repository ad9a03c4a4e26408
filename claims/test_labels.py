"""Do changed labels move ICL's answers as they move GD's? (Labels.)"""

from __future__ import annotations

from probes.claims import claim
from probes.measures import change_agreement, change_size
from probes.observations.observation import Observation
from probes.verdicts.judge import Judge
from probes.verdicts.thresholds import TENTH

Pair = tuple[Observation, Observation]

CHANGES = ("shuffled", "flipped", "abstract")


@claim(on="text", variants=CHANGES, nearest_in="label_total_variation", needs_icl=True)
def test_labels_move_icl_as_they_move_gd(
    icl_relabelled: Pair,
    gd_relabelled: Pair,
    icl_relabelled_reordered: Pair,
    icl_relabelled_other_demonstrations: Pair,
    relabelled_arms: dict[str, tuple[Pair, Pair]],
    judge: Judge,
) -> None:
    """Changing the demonstrations' labels moves ICL's answers as it moves GD's.

    Source:
        Min et al. 2022 and Wei et al. 2023 on ICL; Shen et al. 2024, Hypothesis 1

    Measured:
        agreement ⟨Δ_ICL, Δ_GD⟩ of the changes of label probabilities, between floor and
        ceiling

    Reported:
        not measured side by side
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
