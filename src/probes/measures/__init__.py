"""Measures: pure functions from observations to one Measurement each."""

from probes.measures.distributions import (
    jensen_shannon,
    label_jensen_shannon,
    total_variation,
)
from probes.measures.order import (
    answer_order_sensitivity,
    label_order_sensitivity,
    order_sensitivity,
    relative_order_sensitivity,
)
from probes.measures.regression import (
    prediction_distance,
    sensitivity_cosine,
    sensitivity_distance,
    squared_distance,
    worst_disagreement,
)
from probes.measures.tokens import (
    accuracy,
    gold_probability,
    label_accuracy,
    overlap_cosine,
    overlap_similarity,
    token_overlap,
)

__all__ = [
    "accuracy",
    "answer_order_sensitivity",
    "gold_probability",
    "jensen_shannon",
    "label_accuracy",
    "label_jensen_shannon",
    "label_order_sensitivity",
    "order_sensitivity",
    "overlap_cosine",
    "overlap_similarity",
    "prediction_distance",
    "relative_order_sensitivity",
    "sensitivity_cosine",
    "sensitivity_distance",
    "squared_distance",
    "token_overlap",
    "total_variation",
    "worst_disagreement",
]
