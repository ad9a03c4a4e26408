"""An observer that lets a planted learner answer in place of ICL or of GD.

Everything else is as in any run: claims, fixtures, the choice of GD's rate, the judge.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from probes.calibration.plants import Plant, touches
from probes.calibration.redrawn_sets import SetDraw
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.engine.time_limit import TimeLimitedObserver
from probes.observations.observation import Observation
from probes.observations.request import Request


class PlantedObserver(TimeLimitedObserver):
    """Answers requests as if a plant were ICL or GD.

    A request's key does not know the plant. So what depends on the plant, such as the
    rate at which GD is nearest to ICL, is kept in a store of this plant alone. Requests
    on other models, such as the untrained one, do not depend on it. Nor does the
    planted learner itself: the GD that is nearest to ICL asks the true ICL.

    Args:
        store: Of observations that depend on the plant.
        shared: Of observations that do not; all plants of a seed may share it.
        plant: Who answers.
        usual: Other arguments of an observer.

    Attributes:
        draw: The sets of a pool that claims get; None: they get a cell's own.
    """

    draw: SetDraw | None = None

    def __init__(
        self, store: Store, *, shared: Store, plant: Plant, **usual: Any
    ) -> None:
        # GD is replaced in requests of claims only. What learners ask is then true, and
        # every key names what it says.
        own = store if plant.replaces == "ICL" else shared
        if plant.replaces == "GD":
            usual["sharing"] = lambda work: ()  # the plan's own GD is hardly asked
        super().__init__(own, **usual)
        self.plant, self._shared = plant, shared
        self._depth = 0
        self._pooled: dict[str, Observation] = {}

    @cached_property
    def _others(self) -> Observer:
        return Observer(
            self._shared,
            announce=self.announce,
            models=self.models,
            sharing=self.sharing,
        )

    def observe(self, request: Request) -> Observation:
        """Return the planted learner's answers, or else the request's own.

        Raises:
            ProbesError: The request cannot be answered; the message says why.
        """
        if self.draw is None or self._depth:
            return self._answer(request)
        return self.draw.observe(request, self._of_pool)

    def forget_pool(self) -> None:
        """Let go of the observations that draws of the last cell shared."""
        self._pooled.clear()

    def _of_pool(self, request: Request) -> Observation:
        if request.key not in self._pooled:
            self._pooled[request.key] = self._answer(request)
        return self._pooled[request.key]

    def _answer(self, request: Request) -> Observation:
        if not touches(request):
            return self._others.observe(request)
        if self.plant.changes(request, asked_by_claim=self._depth == 0):
            return self._others.observe(self.plant.planted(request))
        self._depth += 1
        try:
            return super().observe(request)
        finally:
            self._depth -= 1
