"""Linear-regression tasks, drawn: demonstrations (x, y), queries and the true answers.

Conventions follow von Oswald et al. 2022, arXiv:2212.07677: x is uniform on a cube, the
teacher is w ~ N(0, I), and there is no noise by default. All demonstration sets share
the query inputs, so that sets and queries are crossed.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import partial

import numpy as np

from probes.cards import LinearTasks
from probes.data.shown_subsets import Places
from probes.errors import OptionError
from probes.hashing import seed_of
from probes.measurement import Array

KURTOSIS = {"uniform": 9 / 5, "normal": 3.0, "laplace": 6.0}
"""E x⁴ over the squared variance, of the distributions that are centred."""
SETS_PER_BLOCK = 10
"""Sets drawn at a time, so that a run with more sets begins with those of a smaller."""
TRAINED_POOL = 1
"""Seed of the pool of teachers that tasks share; a rival's pools have others."""


@dataclass(frozen=True, kw_only=True)
class RegressionTask:
    """A batch of linear-regression tasks, one for each demonstration set.

    Attributes:
        x: Demonstrations' inputs, shape (n_sets, n_demonstrations, n_inputs).
        y: Demonstrations' answers, shape (n_sets, n_demonstrations).
        queries: Query inputs, shape (n_sets, n_queries, n_inputs).
        answers: The teacher's noiseless answers, shape (n_sets, n_queries).
    """

    x: Array
    y: Array
    queries: Array
    answers: Array

    def orders(self, seed: int | None) -> Places:
        """Draw an order of each set's demonstrations; None keeps the order drawn.

        Returns:
            Places of demonstrations, shape (n_sets, n_demonstrations).
        """
        if seed is None:
            return np.broadcast_to(np.arange(self.y.shape[1]), self.y.shape)
        rng = np.random.default_rng(seed)
        return np.argsort(rng.random(self.y.shape), axis=1)

    def reordered(self, seed: int) -> RegressionTask:
        """Shuffle the demonstrations of each set by a seeded permutation."""
        return self.showing(self.orders(seed)[:, None])

    def showing(self, places: Places) -> RegressionTask:
        """Make several sets of each set, with some of its demonstrations.

        Args:
            places: See ``shown_subsets.places_shown``; shape (n_sets, n_made, n_shown).
        """
        n_sets, n_made, n_shown = places.shape
        chosen = places.reshape(n_sets, n_made * n_shown)
        x = np.take_along_axis(self.x, chosen[..., None], axis=1)
        y = np.take_along_axis(self.y, chosen, axis=1)
        return RegressionTask(
            x=x.reshape(n_sets * n_made, n_shown, self.x.shape[2]),
            y=y.reshape(n_sets * n_made, n_shown),
            queries=np.repeat(self.queries, n_made, axis=0),
            answers=np.repeat(self.answers, n_made, axis=0),
        )

    def relabelled(self, places: Places) -> RegressionTask:
        """Give some demonstrations the opposite answer.

        Args:
            places: True where the answer changes, shape (n_sets, n_demonstrations).
        """
        return replace(self, y=np.where(places, -self.y, self.y))


def draw_tasks(
    tasks: LinearTasks,
    *,
    n_sets: int,
    n_demonstrations: int,
    n_queries: int,
    seed: int,
    query_inputs: Array | None = None,
) -> RegressionTask:
    """Draw a batch of tasks.

    Args:
        tasks: The distribution.
        n_sets: Tasks, each with its own teacher and demonstrations.
        n_demonstrations: Demonstrations of each task.
        n_queries: Query inputs, the same for every task.
        seed: Seed of the draw.
        query_inputs: Query inputs, shape (n_queries, n_inputs); None draws them.
    """
    rng = np.random.default_rng(seed_of("linear tasks", seed))
    d, spread = tasks.n_inputs, input_scales(tasks)
    x = _drawn(rng, tasks, (n_sets, n_demonstrations, d)) * spread
    if query_inputs is None:
        query_inputs = _drawn(rng, tasks, (n_queries, d)) * spread
    queries = np.broadcast_to(query_inputs, (n_sets, n_queries, d)).copy()
    if tasks.n_teachers:
        pool = teacher_pool(tasks, tasks.n_teachers, seed=TRAINED_POOL)
        teacher = pool[rng.integers(tasks.n_teachers, size=n_sets)]
    else:
        teacher = rng.normal(tasks.teacher_mean, tasks.teacher_scale, (n_sets, d))
    noise = tasks.noise * rng.normal(size=(n_sets, n_demonstrations))
    return RegressionTask(
        x=x,
        y=np.einsum("snd,sd->sn", x, teacher) + noise,
        queries=queries,
        answers=np.einsum("sqd,sd->sq", queries, teacher),
    )


def teacher_pool(tasks: LinearTasks, n_teachers: int, *, seed: int) -> Array:
    """Draw the teachers that tasks share; a larger pool begins with a smaller one.

    Args:
        tasks: The distribution of teachers.
        n_teachers: M, their number.
        seed: Seed of the pool.

    Returns:
        The teachers, shape (n_teachers, n_inputs).

    Reference:
        Raventós et al. 2023, arXiv:2306.15063, §2, whose M is the task diversity.
    """
    rng = np.random.default_rng(seed_of("teachers", seed))
    size = (n_teachers, tasks.n_inputs)
    return np.asarray(rng.normal(tasks.teacher_mean, tasks.teacher_scale, size))


def input_scales(tasks: LinearTasks) -> Array:
    """Give the scale of each input, √3 times its standard deviation; (n_inputs,)."""
    d = tasks.n_inputs
    falling = tasks.condition ** (-np.arange(d) / max(d - 1, 1))
    return np.asarray(tasks.input_scale * falling)


def _drawn(
    rng: np.random.Generator, tasks: LinearTasks, shape: tuple[int, ...]
) -> Array:
    """Draw inputs of one kind; all kinds have a mean square of 1/3."""
    if tasks.inputs == "uniform":
        return rng.uniform(-1, 1, shape)
    if tasks.inputs == "normal":
        return rng.normal(0.0, 3**-0.5, shape)
    if tasks.inputs == "laplace":
        return rng.laplace(0.0, 6**-0.5, shape)
    return rng.exponential(6**-0.5, shape)


def draw_nested_tasks(
    tasks: LinearTasks, *, n_sets: int, n_demonstrations: int, n_queries: int, seed: int
) -> RegressionTask:
    """Draw tasks so that a larger draw with the same seed begins with these.

    Args:
        tasks: The distribution.
        n_sets: Tasks, drawn in blocks of ``SETS_PER_BLOCK``, each with its own seed.
        n_demonstrations: Demonstrations of each task.
        n_queries: Query inputs, the same for every task and every ``n_sets``.
        seed: Seed of the first block and of the queries.
    """
    draw = partial(
        draw_tasks,
        tasks,
        n_sets=SETS_PER_BLOCK,
        n_demonstrations=n_demonstrations,
        n_queries=n_queries,
    )
    blocks = [draw(seed=seed)]
    for index in range(1, -(-n_sets // SETS_PER_BLOCK)):
        inputs = blocks[0].queries[0]
        blocks.append(draw(seed=seed_of("block", seed, index), query_inputs=inputs))

    def joined(name: str) -> Array:
        return np.concatenate([getattr(block, name) for block in blocks])[:n_sets]

    return RegressionTask(**{f.name: joined(f.name) for f in fields(RegressionTask)})


def best_one_step_rate(tasks: LinearTasks, n_demonstrations: int) -> float:
    """Compute the rate c = η/N at which one GD step from 0 has the least loss.

    Minimises E(c Σᵢ yᵢ xᵢ·x − w·x)² in closed form for isotropic noiseless tasks:
    c = σ² / (m₄ + (d − 1)σ⁴ + (N − 1)σ⁴), with σ² and m₄ the second and fourth moment
    of one input coordinate; .60606 for d = N = 10 and x ~ U(−½, ½)^d.
    """
    variance = tasks.input_scale**2 / 3
    fourth = tasks.input_scale**4 / 5
    others = (tasks.n_inputs - 1 + n_demonstrations - 1) * variance**2
    return variance / (fourth + others)


def best_preconditioner(tasks: LinearTasks, n_demonstrations: int) -> tuple[float, ...]:
    """Compute the rate of every input at which one preconditioned step is best.

    One step from 0 with a diagonal matrix A predicts ŷ = xᵀA Σᵢ yᵢxᵢ. With
    S = Σᵢ xᵢxᵢᵀ, teachers w of variance τ² and noise of variance s² it is
    w·(SA x) + Σᵢ εᵢ xᵢᵀA x. Its error, averaged over w, noise and queries of covariance
    diag(σ_j²), is

        τ² Σ_j σ_j² E Σ_k (a_j S_jk − δ_jk)² + s² Σ_j σ_j² a_j² E S_jj,

    one parabola for each a_j. So a_j = E S_jj / (Σ_k E S_jk² + E S_jj s²/τ²). For
    independent, centred inputs E S_jj = Nσ_j², E S_jk² = Nσ_j²σ_k² for k ≠ j, and
    E S_jj² = Nκσ_j⁴ + N(N − 1)σ_j⁴, κ the kurtosis of one input. Hence

        1/a_j = (κ + N − 1)σ_j² + Σ_{k ≠ j} σ_k² + s²/τ².

    Inputs of equal variance have equal rates, those of ``best_one_step_rate``.

    Returns:
        a_1, …, a_d, rates on the sum of squares.

    Raises:
        OptionError: Inputs or teachers are not 0 on average.

    Reference:
        Ahn et al. 2023, arXiv:2306.00297, Theorem 1, for normal inputs without noise;
        the derivation is ours.
    """
    if tasks.inputs not in KURTOSIS or tasks.teacher_mean:
        raise OptionError(
            f"The best preconditioner was asked for {tasks.inputs} inputs and teachers "
            f"around {tasks.teacher_mean}. Expected inputs among "
            f"{', '.join(KURTOSIS)}, and teachers around 0. Use other tasks."
        )
    variances = input_scales(tasks) ** 2 / 3
    noise = (tasks.noise / tasks.teacher_scale) ** 2
    own = KURTOSIS[tasks.inputs] + n_demonstrations - 2
    return tuple((1 / (own * variances + variances.sum() + noise)).tolist())
