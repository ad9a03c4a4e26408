"""Learners: what adapts to demonstrations. Each is a frozen dataclass of its settings.

``in_context`` answers from the prompt; ``gradient`` trains a text model's weights;
``linear`` holds the regression algorithms; ``hunt`` looks for the worst task. Modules
that need torch import it when they run, so that claims can be listed without it.
"""

from probes.learners.gradient import GradientLearner, RandomUpdate
from probes.learners.hunt import WorstCase
from probes.learners.in_context import Base, InContext
from probes.learners.linear import LinearLearner, NearestNeighbours, OnePassSGD

__all__ = [
    "Base",
    "GradientLearner",
    "InContext",
    "LinearLearner",
    "NearestNeighbours",
    "OnePassSGD",
    "RandomUpdate",
    "WorstCase",
]
