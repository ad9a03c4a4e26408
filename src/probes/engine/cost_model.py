"""The cost of observations of text models, counted before anything runs.

A learner counts the tokens that a model reads and learns from (``learner_cost``). FLOPs
are 2 for each parameter and token read, and three times as many where gradients are
taken (Kaplan et al. 2020, arXiv:2001.08361, §2.1). Output embeddings count only where a
next token is predicted; attention to earlier tokens is left out. Neither torch nor
weights are loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from probes.cell import Settings
from probes.engine.request_sizes import ModelSize, sizes_of
from probes.errors import ProbesError
from probes.observations.learner_cost import CountsItsCost, TokenCount
from probes.observations.request import Request
from probes.observations.shared_work import work_of

TOKENS_A_PASS = 2048
"""Tokens of one forward pass, which reads all weights (``models.llama.inference``)."""
MOVED_A_STEP = 5
"""How often a step moves the weights: forward, backward, gradient, update (twice)."""
WIDTHS = {"float64": 8, "bfloat16": 2, "float16": 2}  # bytes; others have 4


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What observations cost together.

    Attributes:
        read: Tokens in forward passes alone.
        learned: Tokens in forward and backward passes.
        answered: Next tokens predicted.
        steps: Steps that move the weights.
        flops: Floating-point operations.
        moved: Bytes of weights that go through the processor.
        n_observations: Observations.
        unknown: Those whose work is not counted in these.
    """

    read: float = 0.0
    learned: float = 0.0
    answered: float = 0.0
    steps: float = 0.0
    flops: float = 0.0
    moved: float = 0.0
    n_observations: int = 0
    unknown: int = 0

    @classmethod
    def of(cls, work: TokenCount, size: ModelSize, *, width: int = 4) -> Cost:
        """Compute the work of a model.

        Args:
            work: The work in tokens.
            size: Of the model.
            width: Bytes of a number.
        """
        passes = -(-work.read // TOKENS_A_PASS)
        in_layers = size.layers * (2 * work.read + 6 * work.learned)
        return cls(
            n_observations=1,
            read=work.read,
            learned=work.learned,
            answered=work.answered,
            steps=work.steps,
            flops=in_layers + size.head * 2 * work.answered,
            moved=size.total * width * (passes + MOVED_A_STEP * work.steps),
        )

    def plus(self, other: Cost) -> Cost:
        """Add another cost."""
        theirs = asdict(other)
        return Cost(
            **{name: value + theirs[name] for name, value in asdict(self).items()}
        )


@dataclass(frozen=True, kw_only=True)
class CostRange:
    """What observations cost as far as can be foreseen, and at most.

    Attributes:
        foreseen: If searches end where they usually do.
        limit: If every search goes on until it must stop.
    """

    foreseen: Cost = Cost()
    limit: Cost = Cost()

    def plus(self, other: CostRange) -> CostRange:
        """Add another cost."""
        return CostRange(
            foreseen=self.foreseen.plus(other.foreseen),
            limit=self.limit.plus(other.limit),
        )


def cost_of(requests: Iterable[Request]) -> CostRange:
    """Add up what observations cost.

    Args:
        requests: Distinct ones, with those that they need (see ``NeedsOthers``).

    Returns:
        The sum. Regression tasks, learners that do not count their cost, and models
        whose size or tokenizer no file tells are unknown.
    """
    total, works = CostRange(), set[Request]()
    for request in requests:
        work = work_of(request)
        total = total.plus(cost_of_one(request, is_shared=work in works))
        if work is not None:
            works.add(work)
    return total


def cost_of_one(request: Request, *, is_shared: bool = False) -> CostRange:
    """Count what one observation costs, without those that it needs.

    Args:
        request: The request.
        is_shared: Whether another one does the work that it shares (``shared_work``).
            At most, they share nothing.
    """
    counted = _cost(request, None)
    if counted is None:
        unknown = Cost(n_observations=1, unknown=1)
        return CostRange(foreseen=unknown, limit=unknown)
    alone = _cost(request, {"own_passes": 0}) if is_shared else None
    return counted if alone is None else replace(counted, foreseen=alone.foreseen)


def flops_of(request: Request, facts: Mapping[str, Any]) -> float | None:
    """Count the operations of an observation that was made.

    Args:
        request: The request that it answers.
        facts: Its facts, such as the number of passes that the learner chose.

    Returns:
        The count; None where it is unknown or nothing is computed.
    """
    counted = _cost(request, facts)
    return None if counted is None else counted.foreseen.flops or None


def width_of(settings: Settings) -> int:
    """Return the bytes of a number."""
    return WIDTHS.get(settings.dtype, 4)


def _cost(request: Request, facts: Mapping[str, Any] | None) -> CostRange | None:
    """Compute the cost of an observation; None if it is unknown."""
    try:
        found = sizes_of(request)
    except (ProbesError, OSError):  # the request's own cell reports it
        return None
    if found is None or not isinstance(request.learner, CountsItsCost):
        return None
    size, sizes = found
    counted = request.learner.cost(sizes, facts)
    if counted is None:
        return None
    width = width_of(request.settings)
    return CostRange(
        foreseen=Cost.of(counted.observation, size, width=width),
        limit=Cost.of(counted.limit or counted.observation, size, width=width),
    )
