"""Does ICL change the network's inside as GD does? (Updates; Dai, Deutch, Mishra.)"""

from __future__ import annotations

import pytest

from probes.claims import claim
from probes.measurement import Measurement
from probes.measures import (
    activation_cosine,
    activation_norm_ratio,
    attention_change_cosine,
    attention_cosine,
    attention_rank_correlation,
    coverage,
    coverage_elsewhere,
    normalised_update_cosine,
    representation_similarity,
    update_cosine,
)
from probes.measures.representation_geometry import labels_apart, similarity_by_layer
from probes.observations.observation import Observation
from probes.verdicts.judge import Judge
from probes.verdicts.thresholds import TENTH

Arms = dict[str, tuple[Observation, Observation, Observation]]

CLOSER = 0.02  # a third of the .065 by which the authors' layer-causal GD is closer


@claim(on="text", nearest_in="corrections_apart", needs_icl=True)
def test_icl_covers_gd(
    icl: Observation,
    gd: Observation,
    gd_nearest: Observation,
    icl_reordered: Observation,
    icl_other_demonstrations: Observation,
    base: Observation,
    gd_corrects: Measurement,
    correcting_without_learning: Arms,
    judge: Judge,
) -> None:
    """What GD on the demonstrations corrects, ICL corrects too.

    Title:
        ICL corrects what GD corrects

    Source:
        Dai et al. 2023, Table 3 (Rec2FTP 85.6 %), there without its base rate

    Measured:
        Rec2FTP = N[GD corrects and ICL corrects] / N[GD corrects]

    Reported:
        85.6 % (GPT 1.3B), without its base rate

    Controls:
        how often ICL corrects where GD does not

    Margin:
        a tenth of the way from no learning to ICL's likeness to itself in another order
    """
    judge.record(gd_corrects)
    arms = correcting_without_learning
    floors = {name: coverage(*arm) for name, arm in arms.items()}
    floors["where GD corrects nothing"] = coverage_elsewhere(icl, gd_nearest, base)
    judge.reaches_ceiling(
        coverage(icl, gd_nearest, base),
        floors=floors,
        ceiling=coverage(icl, icl_reordered, base),
        margin=TENTH,
        best=coverage(icl, gd, base),
        other_ceiling=coverage(icl, icl_other_demonstrations, base),
    )


@claim(on="text", nearest_in="update_cosine", needs_icl=True)
def test_same_update(
    inside_icl: Observation,
    inside_gd: Observation,
    inside_gd_nearest: Observation,
    inside_icl_reordered: Observation,
    inside_icl_other_demonstrations: Observation,
    inside_base: Observation,
    inside_layer_causal_gd: Observation,
    without_learning: Arms,
    judge: Judge,
) -> None:
    """ICL moves the outputs of self-attention in the direction in which GD does.

    Title:
        Same change of attention output

    Source:
        Dai et al. 2023, Table 3 (SimAOU .102); disputed by Deutch et al. 2023

    Measured:
        SimAOU = cos(h_ICL − h_ZS, h_GD − h_ZS), h self-attention's output; also
        normalised

    Reported:
        GD .102, layer-causal GD .167; untrained .06 to .24 (Deutch et al.)

    Controls:
        layer-causal GD

    Margin:
        a tenth of the way from no learning to ICL's likeness to itself in another order
    """
    rival = update_cosine(inside_icl, inside_layer_causal_gd, inside_base)
    judge.record(**{"layer-causal GD": rival})
    judge.record(
        GD=normalised_update_cosine(inside_icl, inside_gd_nearest, inside_base)
    )
    arms = without_learning
    judge.record(**{name: normalised_update_cosine(*arm) for name, arm in arms.items()})
    judge.reaches_ceiling(
        update_cosine(inside_icl, inside_gd_nearest, inside_base),
        floors={name: update_cosine(*arm) for name, arm in arms.items()},
        ceiling=update_cosine(inside_icl, inside_icl_reordered, inside_base),
        margin=TENTH,
        best=update_cosine(inside_icl, inside_gd, inside_base),
        other_ceiling=update_cosine(
            inside_icl, inside_icl_other_demonstrations, inside_base
        ),
    )


@claim(on="text", nearest_in="attention_change_cosine", needs_icl=True)
def test_same_attention_change(
    inside_icl: Observation,
    inside_gd: Observation,
    inside_gd_nearest: Observation,
    inside_icl_reordered: Observation,
    inside_icl_other_demonstrations: Observation,
    inside_base: Observation,
    inside_layer_causal_gd: Observation,
    without_learning: Arms,
    judge: Judge,
) -> None:
    """ICL changes the attention to the query's tokens as GD does.

    Title:
        Same change of attention

    Source:
        Dai et al. 2023, Table 3 (SimAM), as differences by Deutch et al. 2023

    Measured:
        SimAM_Δ = cos(m_ICL − m_ZS, m_GD − m_ZS), m the map to the query before softmax

    Reported:
        .267, layer-causal .336; untrained .03 to .26 (Deutch et al.)

    Controls:
        layer-causal GD

    Margin:
        a tenth of the way from no learning to ICL's likeness to itself in another order
    """
    rival = attention_change_cosine(inside_icl, inside_layer_causal_gd, inside_base)
    judge.record(**{"layer-causal GD": rival})
    arms = without_learning
    judge.record(GD=attention_cosine(inside_icl, inside_gd_nearest))
    judge.record(zero_shot=attention_cosine(inside_icl, inside_base))
    judge.record(**{name: attention_cosine(*arm[:2]) for name, arm in arms.items()})
    judge.reaches_ceiling(
        attention_change_cosine(inside_icl, inside_gd_nearest, inside_base),
        floors={name: attention_change_cosine(*arm) for name, arm in arms.items()},
        ceiling=attention_change_cosine(inside_icl, inside_icl_reordered, inside_base),
        margin=TENTH,
        best=attention_change_cosine(inside_icl, inside_gd, inside_base),
        other_ceiling=attention_change_cosine(
            inside_icl, inside_icl_other_demonstrations, inside_base
        ),
    )


@claim(
    on="text",
    nearest_in="attention_rank_correlation",
    needs_icl=True,
    least_demonstrations=2,
)
def test_same_attention_to_demonstrations(
    inside_icl: Observation,
    inside_gd: Observation,
    inside_gd_nearest: Observation,
    inside_icl_reordered: Observation,
    inside_base: Observation,
    without_learning: Arms,
    judge: Judge,
) -> None:
    """ICL attends to the demonstrations as the inner products of a GD step weigh them.

    Title:
        Attention weighs as GD does

    Source:
        Dai et al. 2023, Table 3 (Kendall's τ .193), there without a floor

    Measured:
        Kendall's τ of ICL's attention to demonstrations and ⟨xᵢ, x⟩ of the GD side

    Reported:
        .193, the untrained network never reported

    Margin:
        a tenth of the way from no learning to ICL's likeness to itself in another order
    """
    arms = {name: arm[:2] for name, arm in without_learning.items()}
    arms["the model that learned nothing"] = (inside_icl, inside_base)
    judge.reaches_ceiling(
        attention_rank_correlation(inside_icl, inside_gd_nearest),
        floors={name: attention_rank_correlation(*arm) for name, arm in arms.items()},
        ceiling=attention_rank_correlation(inside_icl, inside_icl_reordered),
        margin=TENTH,
        best=attention_rank_correlation(inside_icl, inside_gd),
    )


@claim(on="text", needs_icl=True)
def test_layer_causal_gd_is_closer(
    inside_icl: Observation,
    inside_gd: Observation,
    inside_layer_causal_gd: Observation,
    inside_base: Observation,
    without_learning: Arms,
    judge: Judge,
) -> None:
    """GD whose layers learn from lower layers only is closer to ICL than plain GD.

    Title:
        Layer-causal GD is closer

    Source:
        Deutch et al. 2023, Table 2 (SimAOU .167 against .102)

    Measured:
        SimAOU of layer-causal GD − SimAOU of GD

    Reported:
        .167 against .102

    Controls:
        plain GD at its own best rate and passes

    Margin:
        a third of the .065 by which the authors' layer-causal GD is closer
    """
    arms = without_learning.items()
    judge.record(**{name: update_cosine(*arm) for name, arm in arms})
    causal, plain = (
        update_cosine(inside_icl, learner, inside_base)
        for learner in (inside_layer_causal_gd, inside_gd)
    )
    judge.record(layer_causal=causal, plain=plain)
    judge.exceeds(causal.minus(plain), margin=CLOSER)


@claim(on="text", nearest_in="activation_cosine", needs_icl=True)
def test_same_activations(
    inside_icl: Observation,
    inside_gd: Observation,
    inside_gd_nearest: Observation,
    inside_icl_reordered: Observation,
    inside_icl_other_demonstrations: Observation,
    inside_base: Observation,
    inside_layer_causal_gd: Observation,
    without_learning: Arms,
    judge: Judge,
) -> None:
    """After GD on the demonstrations, self-attention puts out what it does in ICL.

    Title:
        Same activations

    Source:
        denied by Mishra et al. 2025 (activations of the two are distinct)

    Measured:
        cos(h_ICL, h_GD) of self-attention's outputs; also the ratio of norms

    Reported:
        distinct (Mishra et al. 2025)

    Controls:
        layer-causal GD

    Margin:
        a tenth of the way from no learning to ICL's likeness to itself in another order
    """
    rival = activation_cosine(inside_icl, inside_layer_causal_gd)
    judge.record(**{"layer-causal GD": rival})
    arms = {name: arm[:2] for name, arm in without_learning.items()}
    arms["the model that learned nothing"] = (inside_icl, inside_base)
    judge.record(GD=activation_norm_ratio(inside_icl, inside_gd_nearest))
    judge.reaches_ceiling(
        activation_cosine(inside_icl, inside_gd_nearest),
        floors={name: activation_cosine(*arm) for name, arm in arms.items()},
        ceiling=activation_cosine(inside_icl, inside_icl_reordered),
        margin=TENTH,
        best=activation_cosine(inside_icl, inside_gd),
        other_ceiling=activation_cosine(inside_icl, inside_icl_other_demonstrations),
    )


@claim(
    on="text",
    variants=("gd", "gd_at_equal_accuracy"),
    stand_in="jensen_shannon",
    needs_icl=True,
)
@pytest.mark.usefixtures("gd_matches")
def test_same_representations(
    icl: Observation,
    inside_icl: Observation,
    inside_gd: Observation,
    inside_gd_nearest: Observation,
    inside_icl_reordered: Observation,
    inside_icl_other_demonstrations: Observation,
    inside_base: Observation,
    without_learning: Arms,
    judge: Judge,
) -> None:
    """After GD on the demonstrations, queries lie to each other as they do in ICL.

    Title:
        Same geometry of queries

    Source:
        denied by Doimo et al. 2024, arXiv:2409.03662: fine-tuning collapses onto
        labels, ICL keeps the inputs apart

    Measured:
        debiased linear CKA over a set's queries of self-attention's outputs at the last
        token, the mean over layers; also each query's neighbours with its label

    Reported:
        not as CKA; the layers in which labels form clusters differ

    Margin:
        a tenth of the way from no learning to ICL's likeness to itself in another order
    """
    arms = {name: arm[:2] for name, arm in without_learning.items()}
    arms["the model that learned nothing"] = (inside_icl, inside_base)
    judge.record(**similarity_by_layer(inside_icl, inside_gd_nearest))
    judge.record(
        **labels_apart(icl, ICL=inside_icl, GD=inside_gd_nearest, base=inside_base)
    )
    judge.reaches_ceiling(
        representation_similarity(inside_icl, inside_gd_nearest),
        floors={name: representation_similarity(*arm) for name, arm in arms.items()},
        ceiling=representation_similarity(inside_icl, inside_icl_reordered),
        margin=TENTH,
        best=representation_similarity(inside_icl, inside_gd),
        other_ceiling=representation_similarity(
            inside_icl, inside_icl_other_demonstrations
        ),
    )
