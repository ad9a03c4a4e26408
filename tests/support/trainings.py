"""Learners and runs that tests of training share."""

from __future__ import annotations

from probes.learners import GradientLearner
from probes.models.training.training_runs import TrainingRun

RUNS = [
    TrainingRun(index=s, rate=rate, seed=s) for rate in (0.03, 0.3) for s in range(3)
]


LEARNERS = {
    "gd": GradientLearner(rate=0.1, passes=3),
    "sgd_fixed": GradientLearner(rate=0.1, passes=3, batch_size=1),
    "sgd_pairs": GradientLearner(rate=0.1, passes=3, batch_size=2, reshuffled=True),
    "adam": GradientLearner(optimizer="adam", rate=0.1, passes=3, batch_size=1),
    "gd_middle_W_V": GradientLearner(rate=0.1, passes=3, weights="W_V@middle"),
}
