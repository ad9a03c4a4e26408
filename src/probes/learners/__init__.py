"""Learners: everything that adapts to demonstrations. Each is a frozen dataclass.

In-context learning
    ``in_context``: answers from the prompt, and those of the base model.
    ``position_free``: demonstrations side by side, so that they have no order.
    ``task_vector``: demonstrations compressed into one hidden state.
    ``imagined_demonstration``: before and after an answer that the learner draws.

Learning by gradient
    ``gradient``: trains a text model's weights. ``random_update`` moves them randomly.
    ``layer_causal``: trains every layer by its own loss.
    ``distilled``: trains queries alone towards ICL's answers.
    ``rate_choice``: its rate and passes. ``rate_search`` finds them by a ``criterion``
    that ``gradient_walks`` reads, within limits of ``search_effort``.
    ``training_trials`` lists the trainings.

Regression
    ``regression_algorithms``: GD, GD++, Newton, ridge and OLS, computed in
    ``eigenbasis`` with settings from ``fitting``.
    ``preconditioned_gd``: GD with a rate for each input.
    ``regression_baselines``: one-pass SGD and nearest neighbours.
    ``discrete_bayes``: the Bayes estimator for a few teachers (dMMSE).
    ``algorithm_mixture``: the mixture of algorithms that is nearest to ICL.
    ``trajectories``: an algorithm's predictions after several numbers of steps.
    ``interpolation``: weights between a network's and a construction's.
    ``worst_case``: the task on which ICL and an algorithm disagree most.

Baselines and diagnostics for text
    ``text_baselines``: the label prior and nearest neighbours.
    ``update_directions``: the column space of an update.
    ``activations``, ``rank_one_patch``: looks inside the model while it answers.
    ``weight_statistics``: how sparse weights are, and answers with noisy weights.
    ``illustration``: the likeliest next tokens, in words.

Modules that need torch import it when they run, so that claims are listed without it.
"""

from probes.learners.activations import Activations
from probes.learners.algorithm_mixture import AlgorithmMixture
from probes.learners.criterion import LabelLoss
from probes.learners.discrete_bayes import DiscreteBayes
from probes.learners.distilled import Distilled
from probes.learners.gradient import GradientLearner
from probes.learners.illustration import Illustration
from probes.learners.imagined_demonstration import ImaginedDemonstration
from probes.learners.in_context import Base, InContext
from probes.learners.interpolation import Interpolated
from probes.learners.layer_causal import LayerCausal
from probes.learners.position_free import PositionFree
from probes.learners.preconditioned_gd import PreconditionedGD
from probes.learners.random_update import RandomUpdate
from probes.learners.rank_one_patch import RankOnePatch, RankOnePatches
from probes.learners.regression_algorithms import LinearLearner
from probes.learners.regression_baselines import NearestNeighbours, OnePassSGD
from probes.learners.task_vector import TaskVector
from probes.learners.text_baselines import LabelPrior, RepresentationNeighbours
from probes.learners.trajectories import AlgorithmTrajectory
from probes.learners.update_directions import UpdateDirections
from probes.learners.weight_statistics import Drift, NoisyWeights, WeightStatistics
from probes.learners.worst_case import WorstCase

__all__ = [
    "Activations",
    "AlgorithmMixture",
    "AlgorithmTrajectory",
    "Base",
    "DiscreteBayes",
    "Distilled",
    "Drift",
    "GradientLearner",
    "Illustration",
    "ImaginedDemonstration",
    "InContext",
    "Interpolated",
    "LabelLoss",
    "LabelPrior",
    "LayerCausal",
    "LinearLearner",
    "NearestNeighbours",
    "NoisyWeights",
    "OnePassSGD",
    "PositionFree",
    "PreconditionedGD",
    "RandomUpdate",
    "RankOnePatch",
    "RankOnePatches",
    "RepresentationNeighbours",
    "TaskVector",
    "UpdateDirections",
    "WeightStatistics",
    "WorstCase",
]
