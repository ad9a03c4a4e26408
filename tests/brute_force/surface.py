"""The calibration loss at every rate and number of passes of a grid."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from probes_fixtures.variants import GRADIENT_LEARNERS

from probes.cell import Settings
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.learners import GradientLearner
from probes.learners.criterion import LABEL_LOSS
from probes.learners.gradient_walks import GradientWalks
from probes.learners.rate_lattice import lattice_rate, nearest_step
from probes.learners.search_effort import STANDARD
from probes.observations.request import LearnerContext, Request
from probes.run.grid import dataset_named, model_named

N_RATES = 12
BELOW = 14
"""Steps of a quarter of a decade from the lowest rate up to Polyak's. The rates are
half a decade apart, from 3.5 decades below to 2 decades above."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A learner on a task.

    Attributes:
        model: Its name.
        dataset: Its name.
        n_demonstrations: Demonstrations in each of the four sets.
        variant: One of ``GRADIENT_LEARNERS``.
    """

    model: str
    dataset: str
    n_demonstrations: int
    variant: str

    @property
    def name(self) -> str:
        """The name of the case's file."""
        return f"{self.model}-{self.dataset}-{self.n_demonstrations}-{self.variant}"

    @property
    def learner(self) -> GradientLearner:
        """The learner, which is searched by the loss alone."""
        trained = GRADIENT_LEARNERS[self.variant]
        return GradientLearner(
            optimizer=trained.optimizer,
            batch_size=trained.batch_size,
            reshuffled=trained.reshuffled,
            weights=trained.weights,
        )

    def context(self, folder: Path) -> LearnerContext:
        """Give what the search is given."""
        request = Request(
            learner=self.learner.choice,
            model=model_named(self.model),
            dataset=dataset_named(self.dataset),
            n_demonstrations=self.n_demonstrations,
            settings=Settings(),
            queries="calibration",
        )
        return Observer(Store(folder)).context(request)


Surface = dict[str, dict[str, float | None]]
"""The loss by rate and by passes; None where training has failed."""


def measure(case: Case, context: LearnerContext, path: Path) -> Iterator[Surface]:
    """Train at every rate that the file does not hold, and yield after each.

    Args:
        case: What is trained.
        context: Its request.
        path: The file; it holds what was measured before, and is written anew.
    """
    walks = GradientWalks(context, case.learner)
    assert walks.criteria == (LABEL_LOSS,)
    found: Surface = json.loads(path.read_text()) if path.exists() else {}
    middle = nearest_step(walks.scale())
    for step in range(middle - BELOW, middle - BELOW + 2 * N_RATES, 2):
        rate = lattice_rate(step)
        if f"{rate:g}" not in found:
            walks.walk(rate, STANDARD.passes)
            curve = walks.curve(rate, 0)
            found[f"{rate:g}"] = {
                str(n): loss if math.isfinite(loss) else None
                for n, loss in curve.items()
            }
            path.write_text(json.dumps(found, indent=1) + "\n")
            yield found
    yield found


def least(surface: Surface) -> tuple[float, float, int]:
    """Find the least loss, with its rate and passes."""
    return min(
        (loss, float(rate), int(n))
        for rate, curve in surface.items()
        for n, loss in curve.items()
        if loss is not None
    )
