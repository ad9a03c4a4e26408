"""The worst task that Hypothesis finds for a claim that holds by algebra.

A claim "for every task" is not sampled but hunted: tasks of a stated space are tried,
each steered towards a larger disagreement, and the worst is shrunk and shown.
"""

from __future__ import annotations

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
    from probes.observations.request import LearnerContext

EXAMPLES = 100


@dataclass(frozen=True, kw_only=True)
class WorstCase:
    """Hunt the task on which ICL and an algorithm disagree most.

    The space: 1 to ``longest`` demonstrations, input scales 0.1 to 2 (by decades and
    halves), condition numbers 1 to 10, noise 0 to 1, teacher means 0 to 3, any seed,
    any order.

    Attributes:
        against: The algorithm that ICL is compared with, its settings as in the cell.
        tolerance: A disagreement above it, relative to the answers' size, is a
            counterexample, and is then shrunk.
        longest: Most demonstrations of a task.
    """

    against: LinearLearner
    tolerance: float = 1e-12
    longest: int = 24
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Search the space; the answers are those to the worst task found.

        Raises:
            OptionError: The cell has no fixed input dimension; our own bug.
        """
        rows = context.request.dataset.rows
        if not isinstance(rows, LinearTasks):
            raise OptionError(
                "A hunt needs regression tasks. Expected a regression cell."
            )
        theirs = context.observe(self.against)
        settings = tuple(theirs.facts["settings"])
        steps = int(theirs.facts["steps"])

        def answer(task: RegressionTask) -> tuple[Any, Any]:
            ours, _ = context.model.answer(task)
            weights = solve(task, self.against.algorithm, steps, settings)
            return ours, np.einsum("sqd,sd->sq", task.queries, weights)

        found = _search(answer, rows.n_inputs, self.tolerance, self.longest)
        return Observation(arrays=found[1], facts={"counterexample": found[0]})


def _search(
    answer: Any, n_inputs: int, tolerance: float, longest: int
) -> tuple[str, dict[str, Any]]:
    from hypothesis import HealthCheck, Phase, given, settings, target
    from hypothesis import strategies as st

    worst: dict[str, Any] = {"error": -1.0}
    shrunk: dict[str, Any] = {}

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
        n_demonstrations=st.integers(1, longest),
        scale=st.sampled_from([1.0, 0.1, 0.25, 0.5, 1.5, 2.0]),
        condition=st.sampled_from([1.0, 2.0, 5.0, 10.0]),
        noise=st.sampled_from([0.0, 0.1, 1.0]),
        teacher_mean=st.sampled_from([0.0, 1.0, 3.0]),
        seed=st.integers(0, 2**32 - 1),
        order=st.integers(0, 3),
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
        worst = shrunk
    told = ", ".join(f"{k}={v}" for k, v in worst["choice"].items())
    arrays = {name: np.asarray(worst[name]) for name in ("ours", "theirs", "answers")}
    return f"{told}: relative disagreement {worst['error']:.3g}", arrays


class _CounterexampleError(Exception):
    """Tells Hypothesis that a task breaks the claim."""


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
