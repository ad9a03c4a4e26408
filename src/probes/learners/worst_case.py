"""The worst task that Hypothesis finds for a claim that holds by algebra.

A claim about every task needs a search, not a sample. Hypothesis tries tasks of a
stated space, steers towards larger disagreement, and shrinks the worst one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.cards import LinearTasks
from probes.data.regression_tasks import RegressionTask, draw_tasks
from probes.errors import OptionError
from probes.hashing import seed_of
from probes.learners.eigenbasis import solve
from probes.learners.regression_algorithms import LinearLearner
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from probes.observations.request import LearnerContext

EXAMPLES = 100


@dataclass(frozen=True, kw_only=True)
class WorstCase:
    """Search for the task on which ICL and an algorithm disagree most.

    The space: 1 to ``longest`` demonstrations, input scales 0.1 to 2 (by decades and
    halves), condition numbers 1 to 10, noise 0 to 1, teacher means 0 to 3, any seed,
    any order.

    Attributes:
        against: The algorithm that is compared with ICL, with the cell's settings.
        tolerance: A larger disagreement, relative to the answers' size, is a
            counterexample, and Hypothesis shrinks it.
        longest: The most demonstrations of a task.
    """

    against: LinearLearner
    tolerance: float = 1e-12
    longest: int = 24
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Search the space, and keep both answers to the worst task.

        Raises:
            OptionError: The cell has no regression tasks.
        """
        rows = context.request.dataset.rows
        if not isinstance(rows, LinearTasks):
            raise OptionError(
                "A search for the worst task needs regression tasks. Expected a "
                "regression cell. Declare the observation on='regression'."
            )
        facts = context.observe(self.against).facts
        settings, steps = tuple(facts["settings"]), int(facts["steps"])

        def answer(task: RegressionTask) -> tuple[Any, Any]:
            ours, _ = context.model.answer(task)
            weights = solve(task, self.against.algorithm, steps, settings)
            return ours, np.einsum("sqd,sd->sq", task.queries, weights)

        worst = _search(answer, rows.n_inputs, self.tolerance, self.longest)
        choice = ", ".join(f"{k}={v}" for k, v in worst["choice"].items())
        names = ("ours", "theirs", "answers")
        described = f"{choice}: relative disagreement {worst['error']:.3g}"
        return Observation(
            arrays={name: np.asarray(worst[name]) for name in names},
            facts={"counterexample": described},
        )


def _search(
    answer: Any, n_inputs: int, tolerance: float, longest: int
) -> dict[str, Any]:
    """Find the worst task, or the simplest one that breaks the tolerance."""
    from hypothesis import HealthCheck, Phase, given, settings, target

    worst: dict[str, Any] = {"error": -1.0}
    shrunk: dict[str, Any] = {}

    # Hypothesis seeds its draws with this function's text: an edit changes the tasks.
    @settings(
        max_examples=EXAMPLES,
        database=None,
        derandomize=True,
        deadline=None,
        phases=(Phase.generate, Phase.target, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        report_multiple_bugs=False,
    )
    @given(
        n_demonstrations=_one_of(range(1, longest + 1)),
        scale=_one_of([1.0, 0.1, 0.25, 0.5, 1.5, 2.0]),
        condition=_one_of([1.0, 2.0, 5.0, 10.0]),
        noise=_one_of([0.0, 0.1, 1.0]),
        teacher_mean=_one_of([0.0, 1.0, 3.0]),
        seed=_one_of(range(2**32)),
        order=_one_of(range(4)),
    )
    def attempt(**choice: Any) -> None:
        task = _draw(n_inputs, **choice)
        ours, theirs = answer(task)
        error = disagreement(ours, theirs, task.answers)
        target(min(np.log10(error + 1e-300), 300.0))
        kept = {"error": error, "ours": ours, "theirs": theirs, "answers": task.answers}
        if error > worst["error"]:
            worst.update(kept, choice=choice)
        if not error <= tolerance:
            shrunk.update(kept, choice=choice)
            raise _CounterexampleError

    try:
        attempt()
    except _CounterexampleError:
        return shrunk
    return worst


def _one_of(values: Sequence[Any]) -> SearchStrategy[Any]:
    """Draw one of some values, the simplest first, by the bits of its place.

    Hypothesis draws integers and ``sampled_from`` in part from the constants of all
    modules that are loaded; the worst task would depend on the process that searches.
    Only its booleans do not.
    """
    from hypothesis import strategies as st

    bits = [st.booleans()] * (len(values) - 1).bit_length()
    place = st.tuples(*bits).map(lambda drawn: sum(b << i for i, b in enumerate(drawn)))
    return place.map(lambda at: values[at % len(values)])


class _CounterexampleError(Exception):
    """Raised to make Hypothesis shrink a task that breaks the claim."""


def disagreement(ours: Any, theirs: Any, answers: Any) -> float:
    """Measure the largest |ŷ − ŷ'|, relative to the predictions' or answers' size."""
    size = max(1.0, float(np.abs(theirs).max()), float(np.abs(answers).max()))
    return float(np.abs(ours - theirs).max()) / size


def _draw(n_inputs: int, **choice: Any) -> RegressionTask:
    task = draw_tasks(
        LinearTasks(
            n_inputs=n_inputs,
            input_scale=choice["scale"],
            condition=choice["condition"],
            noise=choice["noise"],
            teacher_mean=choice["teacher_mean"],
        ),
        n_sets=1,
        n_demonstrations=choice["n_demonstrations"],
        n_queries=4,
        seed=choice["seed"],
    )
    return task.reordered(seed_of(choice["order"])) if choice["order"] else task
