"""Is ICL one algorithm or a mixture of several? (Regression.)"""

from __future__ import annotations

from probes.claims import claim
from probes.measures import squared_distance
from probes.measures.mixture_weights import mixture_remark
from probes.observations.observation import Observation
from probes.verdicts.judge import Judge

# In domain, and outside it in two ways; other inputs would say the same at more cost.
# The last ones are for networks that were trained with noise, some on few teachers.
TASKS = (
    "linear",
    "linear_skewed",
    "linear_noisy",
    "linear_5",
    "linear_5_noisy",
    "linear_5_m2",
    "linear_5_m8",
    "linear_5_m64",
    "linear_5_m512",
    "linear_5_m4096",
)
ROUNDING = 1e-12  # of distances; float64 keeps 16 digits, four are left for sums


@claim(on="regression", needs_icl=True, datasets=TASKS)
def test_which_mixture_of_algorithms(
    icl: Observation,
    gd: Observation,
    mixture: Observation,
    mixture_without_gd: Observation,
    untrained_pairs: list[list[Observation]],
    judge: Judge,
) -> None:
    """GD alone predicts ICL as well as the best mixture of algorithms does.

    Title:
        No mixture is nearer than GD

    Source:
        Raventós et al. 2023, arXiv:2306.15063; Wurgaft et al. 2025, arXiv:2506.17859:
        below some diversity of tasks dMMSE, above it ridge

    Measured:
        (ŷ_ICL − ŷ_A)² over the mean square of the answers, for GD less that for Σ w_a
        ŷ_a; w on the simplex, fitted on calibration tasks

    Reported:
        networks that were trained on few teachers are dMMSE, on many they are ridge

    Controls:
        the weights of GD, ridge, one-pass SGD, nearest neighbours and dMMSE of 8 and of
        512 teachers; of a network's own teachers, if it was trained on few

    Margin:
        .05², the squared distance that counts as a match of answers; on constructed
        networks what rounding leaves, 1e-24
    """
    judge.record(mixture_remark(mixture))
    distance = squared_distance(icl, gd)
    bare = [squared_distance(*pair) for pair in untrained_pairs]
    judge.control(distance, bare, better="nearer 0")
    judge.is_nearest(
        distance,
        {
            "the mixture": squared_distance(icl, mixture),
            "the mixture without GD": squared_distance(icl, mixture_without_gd),
        },
        tolerance=ROUNDING**2,
        margin=0.0025,
    )
