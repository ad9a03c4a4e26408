"""Learners: what adapts to demonstrations. Each is a frozen dataclass of its settings.

``in_context`` answers from the prompt, ``position_free`` from one without an order;
``gradient`` trains a text model's weights, ``matched`` as far as ICL has come,
``layer_causal`` layer by layer; ``task_vector`` carries ICL in one hidden state;
``activations`` and ``patch`` look inside the model, ``weights`` reads and disturbs it;
``linear`` and ``rivals`` hold the regression algorithms, which run in ``spectral`` at
settings found in ``fitting``; ``steps`` tells what they predict on their way; ``hunt``
looks for the worst task; ``votes`` answers by the demonstrations' labels;
``illustration`` puts answers in words; ``interpolation`` answers by weights between a
network and a construction. Modules that need torch import it when they run, so that
claims can be listed without it.
"""

from probes.learners.activations import Activations
from probes.learners.gradient import GradientLearner, RandomUpdate
from probes.learners.illustration import Illustration
from probes.learners.in_context import Base, InContext
from probes.learners.interpolation import Interpolated
from probes.learners.layer_causal import LayerCausal
from probes.learners.performance_matched import Match, Matched
from probes.learners.position_free import PositionFree
from probes.learners.rank_one_patch import RankOnePatch
from probes.learners.regression_algorithms import LinearLearner
from probes.learners.regression_baselines import NearestNeighbours, OnePassSGD
from probes.learners.task_vector import TaskVector
from probes.learners.text_baselines import LabelPrior, RepresentationNeighbours
from probes.learners.trajectories import Steps
from probes.learners.weight_statistics import Disturbed, Drift, WeightStatistics
from probes.learners.worst_case import WorstCase

__all__ = [
    "Activations",
    "Base",
    "Disturbed",
    "Drift",
    "GradientLearner",
    "Illustration",
    "InContext",
    "Interpolated",
    "LabelPrior",
    "LayerCausal",
    "LinearLearner",
    "Match",
    "Matched",
    "NearestNeighbours",
    "OnePassSGD",
    "PositionFree",
    "RandomUpdate",
    "RankOnePatch",
    "RepresentationNeighbours",
    "Steps",
    "TaskVector",
    "WeightStatistics",
    "WorstCase",
]
