"""A learner that takes its time, and a request for it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from probes.cards import LinearTasks
from probes.cell import Settings
from probes.observations.observation import Observation
from probes.observations.request import Request
from tests.support.cards import dataset, network


@dataclass(frozen=True, kw_only=True)
class Slow:
    """Answers after some seconds, before which another may be asked."""

    seconds: float
    needs: float | None = None
    needs_model: bool = False

    def observe(self, context: Any) -> Observation:
        if self.needs is not None:
            context.observe(Slow(seconds=self.needs))
        time.sleep(self.seconds)
        return Observation(arrays={"predictions": np.ones((2, 3))})


def request(learner: Slow) -> Request:
    return Request(
        learner=learner,
        model=network("gd_1"),
        dataset=dataset("linear", family="regression", rows=LinearTasks(n_inputs=4)),
        n_demonstrations=4,
        settings=Settings(n_sets=2, n_queries=3),
    )
