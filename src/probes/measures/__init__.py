"""Measures: pure functions from observations to one Measurement each.

Only ``step_matching`` compares many at once; it returns a table of distances.
"""

from probes.measures.calibration_errors import (
    brier_score,
    expected_calibration_error,
    label_loss,
    squared_calibration_error,
)
from probes.measures.coverage import (
    corrected,
    corrections_apart,
    coverage,
    coverage_elsewhere,
)
from probes.measures.demonstration_effects import (
    additivity_gap,
    influence_rank_correlation,
    influence_slope,
)
from probes.measures.distributions import (
    distance_reduction,
    jensen_shannon,
    label_jensen_shannon,
    label_total_variation,
    total_variation,
)
from probes.measures.identities import context_effect, patch_error
from probes.measures.label_changes import (
    change_agreement,
    change_size,
    flipped_accuracy,
    flipped_accuracy_over_numbers,
)
from probes.measures.learning_curves import (
    answer_loss,
    bayesian_law_error,
    gaps_both_ways,
    loss_fall,
    loss_gap,
    loss_over_numbers,
    power_law_error,
)
from probes.measures.likeness import Equal, Nearest
from probes.measures.linear_fits import linearity, weight_distance
from probes.measures.martingale import martingale_gap
from probes.measures.matched_gap import gap_after_matching
from probes.measures.order_sensitivity import (
    answer_order_sensitivity,
    label_order_sensitivity,
    order_sensitivity,
    relative_order_sensitivity,
)
from probes.measures.prediction_distances import (
    explained_share,
    prediction_distance,
    sensitivity_cosine,
    sensitivity_distance,
    squared_distance,
    worst_disagreement,
)
from probes.measures.representation_geometry import (
    label_neighbours,
    representation_similarity,
)
from probes.measures.step_matching import step_matching
from probes.measures.subspace_overlap import subspace_overlap
from probes.measures.token_ranks import (
    accuracy,
    accuracy_over_numbers,
    gold_probability,
    label_accuracy,
    overlap_cosine,
    overlap_similarity,
    token_overlap,
)
from probes.measures.update_similarity import (
    activation_cosine,
    activation_norm_ratio,
    attention_change_cosine,
    attention_cosine,
    attention_rank_correlation,
    normalised_update_cosine,
    update_cosine,
)
from probes.measures.weight_sparsity import (
    constructed_sparsity,
    gaussian_hoyer,
    gaussian_sparsity,
    hoyer,
    participating,
    product_sparsity,
    sparsities,
    sparsity,
    weight_drift,
)

__all__ = [
    "Equal",
    "Nearest",
    "accuracy",
    "accuracy_over_numbers",
    "activation_cosine",
    "activation_norm_ratio",
    "additivity_gap",
    "answer_loss",
    "answer_order_sensitivity",
    "attention_change_cosine",
    "attention_cosine",
    "attention_rank_correlation",
    "bayesian_law_error",
    "brier_score",
    "change_agreement",
    "change_size",
    "constructed_sparsity",
    "context_effect",
    "corrected",
    "corrections_apart",
    "coverage",
    "coverage_elsewhere",
    "distance_reduction",
    "expected_calibration_error",
    "explained_share",
    "flipped_accuracy",
    "flipped_accuracy_over_numbers",
    "gap_after_matching",
    "gaps_both_ways",
    "gaussian_hoyer",
    "gaussian_sparsity",
    "gold_probability",
    "hoyer",
    "influence_rank_correlation",
    "influence_slope",
    "jensen_shannon",
    "label_accuracy",
    "label_jensen_shannon",
    "label_loss",
    "label_neighbours",
    "label_order_sensitivity",
    "label_total_variation",
    "linearity",
    "loss_fall",
    "loss_gap",
    "loss_over_numbers",
    "martingale_gap",
    "normalised_update_cosine",
    "order_sensitivity",
    "overlap_cosine",
    "overlap_similarity",
    "participating",
    "patch_error",
    "power_law_error",
    "prediction_distance",
    "product_sparsity",
    "relative_order_sensitivity",
    "representation_similarity",
    "sensitivity_cosine",
    "sensitivity_distance",
    "sparsities",
    "sparsity",
    "squared_calibration_error",
    "squared_distance",
    "step_matching",
    "subspace_overlap",
    "token_overlap",
    "total_variation",
    "update_cosine",
    "weight_distance",
    "weight_drift",
    "worst_disagreement",
]
