"""Test whether in-context learning is gradient descent.

Claims, learners and measures import the names in ``__all__`` from here. A name is
loaded when it is first used, so ``import probes`` stays fast. The packages, from the
ground up:

- ``cards``, ``cell``, ``claims``, ``measurement``, ``registry``: what is known before
  anything is loaded
- ``data``: rows, regression tasks, prompts and tokens
- ``models``: loading, answering, training and changing models
- ``observations``: a request to a learner, and its answer
- ``learners``, ``measures``, ``verdicts``: what adapts, the numbers, the decisions
- ``engine``: where learners run, and the store; ``results``: rows and records
- ``report``, ``calibration``: pages and figures; how often verdicts are wrong
- ``run``: one run, from options to rows
- ``cli``, ``pytest_plugin``: the command ``probes``, and everything in pytest
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probes.cards import Checkpoint, DatasetCard, LinearTasks, ModelCard, TextRows
    from probes.cell import Cell, Settings
    from probes.claims import claim
    from probes.errors import ProbesError
    from probes.measurement import Measurement
    from probes.observations.observation import Observation
    from probes.observations.request import Learner, LearnerContext, Request
    from probes.pytest_plugin import observation
    from probes.run.grid import DATASETS, MODELS
    from probes.verdicts.judge import Judge

HOMES = {
    "DATASETS": "probes.run.grid",
    "MODELS": "probes.run.grid",
    "Cell": "probes.cell",
    "Checkpoint": "probes.cards",
    "DatasetCard": "probes.cards",
    "Judge": "probes.verdicts.judge",
    "Learner": "probes.observations.request",
    "LearnerContext": "probes.observations.request",
    "LinearTasks": "probes.cards",
    "Measurement": "probes.measurement",
    "ModelCard": "probes.cards",
    "Observation": "probes.observations.observation",
    "ProbesError": "probes.errors",
    "Request": "probes.observations.request",
    "Settings": "probes.cell",
    "TextRows": "probes.cards",
    "claim": "probes.claims",
    "observation": "probes.pytest_plugin",
}
"""The module that defines each public name."""

__all__ = [
    "DATASETS",
    "MODELS",
    "Cell",
    "Checkpoint",
    "DatasetCard",
    "Judge",
    "Learner",
    "LearnerContext",
    "LinearTasks",
    "Measurement",
    "ModelCard",
    "Observation",
    "ProbesError",
    "Request",
    "Settings",
    "TextRows",
    "claim",
    "observation",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    """List all public names, loaded or not."""
    return sorted({*globals(), *__all__})
