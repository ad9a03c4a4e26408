"""Does GD change the weights as an update does that reproduces ICL? (Distillation.)"""

from __future__ import annotations

import pytest

from probes.claims import claim
from probes.measures import subspace_overlap
from probes.observations.observation import Observation
from probes.verdicts.judge import Judge
from probes.verdicts.thresholds import TENTH


@claim(on="text", stand_in="jensen_shannon", needs_icl=True)
@pytest.mark.usefixtures("icl_is_reproduced")
def test_update_that_reproduces_icl_is_gds(
    distilled_directions: Observation,
    distilled_again: Observation,
    distilled_other_demonstrations: Observation,
    gd_directions: Observation,
    gd_best_directions: Observation,
    directions_without_learning: dict[str, tuple[Observation, Observation]],
    judge: Judge,
) -> None:
    """An update of the weights that reproduces ICL moves outputs in GD's directions.

    Title:
        ICL's update is that of GD

    Source:
        Mishra et al. 2025, arXiv:2509.22621 (IA2): fine-tuning and the update that
        reproduces ICL share little

    Measured:
        (1/r)‖U₁ᵀU₂‖²_F, the mean over attention matrices; U₁ the column space of a
        low-rank update that learned ICL's answers, U₂ the r largest directions of GD's

    Reported:
        fine-tuning and IA2 .055; IA2 and IA2 followed by fine-tuning .388

    Margin:
        a tenth of the way from no learning to ICL's likeness to itself in another order
    """
    arms = directions_without_learning
    judge.reaches_ceiling(
        subspace_overlap(distilled_directions, gd_directions),
        floors={name: subspace_overlap(*pair) for name, pair in arms.items()},
        ceiling=subspace_overlap(distilled_directions, distilled_again),
        margin=TENTH,
        best=subspace_overlap(distilled_directions, gd_best_directions),
        other_ceiling=subspace_overlap(
            distilled_directions, distilled_other_demonstrations
        ),
    )
