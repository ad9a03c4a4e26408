"""What is true of any network, trained or not, and so is evidence of nothing."""

from __future__ import annotations

import pytest

from probes.claims import claim
from probes.measures import context_effect, patch_error
from probes.observations.observation import Observation
from probes.verdicts.judge import Judge

ROUNDING = 1e-10  # float64 has 16 digits; six are left for sums, and for small effects


@claim(on="text", identity=True)
def test_context_is_a_rank_one_patch(
    context_patch: Observation, untrained_context_patch: Observation, judge: Judge
) -> None:
    """The context's effect on an MLP is that of a rank-one change of its weights.

    Title:
        Context is a rank-one patch

    Source:
        Dherin et al. 2025, arXiv:2507.16003, Theorem 2.2

    Measured:
        ‖M_{W+ΔW}(A(x)) − M_W(A(C, x))‖ over ‖M_W(A(C, x)) − M_W(A(x))‖, where
        ΔW = (W ΔA) A(x)ᵀ/‖A(x)‖²

    Reported:
        exact, by algebra

    Margin:
        what rounding leaves: float64 has 16 digits, and six are left for sums and small
        effects
    """
    judge.record(untrained=patch_error(untrained_context_patch))
    error = patch_error(context_patch)
    judge.vanishes(error, tolerance=ROUNDING, margin=ROUNDING)


@claim(on="text", identity=True)
@pytest.mark.usefixtures("context_acts")
def test_context_is_a_rank_one_patch_of_all_layers(
    all_layers_patch: Observation,
    untrained_all_layers_patch: Observation,
    judge: Judge,
) -> None:
    """The context's effect on a network is that of rank-one changes of all layers.

    Title:
        Rank-one patch of all layers

    Source:
        Goldwaser et al. 2025, arXiv:2511.17864, on gated MLPs behind RMS norms

    Measured:
        ‖y_{W+ΔW}(x) − y_W(C, x)‖ over ‖y_W(C, x) − y_W(x)‖, y the output of each layer
        and the logits; ΔW_G = W_G Δz z₀ᵀ/‖z₀‖², ΔW_U alike, ΔW_D = Δh mᵀ/‖m‖²

    Reported:
        exact, by algebra

    Margin:
        what rounding leaves: float64 has 16 digits, and six are left for sums and small
        effects
    """
    judge.record(context=context_effect(all_layers_patch))
    judge.record(untrained=patch_error(untrained_all_layers_patch))
    error = patch_error(all_layers_patch)
    judge.vanishes(error, tolerance=ROUNDING, margin=ROUNDING)
