"""What observations of text models cost, counted before anything runs.

Tokens that a model reads, and tokens that it learns from, as the learners here do it:
the demonstrations of a set are read once for all its queries. FLOPs are 2 for each
parameter and token read, and three times as many where gradients are taken (Kaplan et
al. 2020, arXiv:2001.08361, §2.1); attention to earlier tokens is left out. Sub-models
cost less, and the number of passes is chosen later: what is counted is the most.
Neither torch nor weights are loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from probes.cards import Checkpoint, DatasetCard, ModelCard
from probes.cell import Settings
from probes.errors import ProbesError
from probes.learners import (
    Base,
    GradientLearner,
    InContext,
    PositionFree,
    RandomUpdate,
)
from probes.learners.gradient import SELECTION_SETS
from probes.models.files.fingerprint import local_folder
from probes.models.parameter_count import n_parameters
from probes.observations.request import Request

TOKENS_A_PASS = 2048
"""Of forward passes alone; each reads all weights once (``models.llama.inference``)."""
MOVED_A_STEP = 5
"""Times that a step moves the weights: forward, backward, gradient, update (twice)."""
WIDTHS = {"float64": 8, "bfloat16": 2, "float16": 2}  # bytes; others have 4


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What observations cost together.

    Attributes:
        read: Tokens in forward passes alone.
        learned: Tokens in forward and backward passes.
        flops: Floating-point operations.
        moved: Bytes of weights that go through the processor.
        unknown: Observations that are not counted in these.
    """

    read: float = 0.0
    learned: float = 0.0
    flops: float = 0.0
    moved: float = 0.0
    unknown: int = 0

    @classmethod
    def of(
        cls,
        read: float,
        learned: float,
        *,
        size: int,
        steps: float = 0.0,
        width: int = 4,
    ) -> Cost:
        """Compute the work of a model.

        Args:
            read: Tokens in forward passes alone.
            learned: Tokens in forward and backward passes.
            size: Parameters.
            steps: Steps that move the weights.
            width: Bytes of a number.
        """
        passes = -(-read // TOKENS_A_PASS)
        return cls(
            read=read,
            learned=learned,
            flops=size * (2 * read + 6 * learned),
            moved=size * width * (passes + MOVED_A_STEP * steps),
        )

    def plus(self, other: Cost) -> Cost:
        """Add another cost."""
        return Cost(
            read=self.read + other.read,
            learned=self.learned + other.learned,
            flops=self.flops + other.flops,
            moved=self.moved + other.moved,
            unknown=self.unknown + other.unknown,
        )


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Mean tokens of a set's demonstrations together, and of one query."""

    shown: float
    asked: float


def cost_of(requests: Iterable[Request]) -> Cost:
    """Count what observations cost.

    Args:
        requests: Distinct ones. A gradient learner's choice of rate and passes is
            counted once for each cell, with the first that needs it.

    Returns:
        The sum; not in it are other learners than those of the text claims on outputs
        and order, regression tasks, and models whose size or tokenizer no file tells.
    """
    total, chosen = Cost(), set()
    for request in requests:
        try:
            found = _cost(request)
        except (ProbesError, OSError):  # its own cell will report it, in words
            found = None
        total = total.plus(found or Cost(unknown=1))
        cell = (request.learner, request.model, request.dataset)
        choice = (*cell, request.n_demonstrations)
        if isinstance(request.learner, GradientLearner) and choice not in chosen:
            chosen.add(choice)
            total = total.plus((found and _cost_of_choice(request)) or Cost())
    return total


def _cost(request: Request) -> Cost | None:
    measures = _measures(request)
    if measures is None:
        return None
    size, of = measures
    sizes, learner = request.settings, request.learner
    asked = sizes.n_sets * sizes.n_queries * of.asked
    shown = sizes.n_sets * of.shown
    width = WIDTHS.get(sizes.dtype, 4)
    if isinstance(learner, InContext | PositionFree):
        return Cost.of(shown + asked, 0.0, size=size, width=width)
    if isinstance(learner, Base):
        return Cost.of(sizes.n_queries * of.asked, 0.0, size=size, width=width)
    if isinstance(learner, GradientLearner):
        passes = max(learner.passes)
        steps = sizes.n_sets * passes * _steps_a_pass(request)
        return Cost.of(asked, passes * shown, size=size, steps=steps, width=width)
    if isinstance(learner, RandomUpdate):
        return Cost.of(asked, 0.0, size=size, width=width)
    return None


def _steps_a_pass(request: Request) -> int:
    assert isinstance(request.learner, GradientLearner)
    each = request.learner.batch_size or request.n_demonstrations
    return -(-request.n_demonstrations // each)


def flops_of(request: Request, facts: Mapping[str, Any]) -> float | None:
    """Count the operations of an observation that was made.

    Args:
        request: Of what.
        facts: What the learner told: the number of passes that it chose.

    Returns:
        The count; None for what is not counted, and for sub-models, which cost less
        than what :func:`cost_of` counts.
    """
    learner = request.learner
    if isinstance(learner, GradientLearner):
        if learner.weights != "all" or "passes" not in facts:
            return None
        request = replace(request, learner=replace(learner, passes=(facts["passes"],)))
    try:
        found = _cost(request)
    except (ProbesError, OSError):
        return None
    return None if found is None else found.flops


def _cost_of_choice(request: Request) -> Cost | None:
    """Count trainings at every rate, and calibration queries at every pass."""
    measures, learner = _measures(request), request.learner
    if measures is None or not isinstance(learner, GradientLearner):
        return None
    size, of = measures
    trained = len(learner.rates) * min(SELECTION_SETS, request.settings.n_sets)
    asked = request.settings.n_calibration * of.asked
    passes = trained * max(learner.passes)
    return Cost.of(
        trained * len(learner.passes) * asked,
        passes * of.shown,
        size=size,
        steps=passes * _steps_a_pass(request),
        width=WIDTHS.get(request.settings.dtype, 4),
    )


def _measures(request: Request) -> tuple[int, Lengths] | None:
    """Find the model's parameters and the lengths of its prompts."""
    if request.model.family != "text":
        return None
    size = n_parameters(request.model)
    of = _lengths(
        request.model, request.dataset, request.n_demonstrations, request.settings
    )
    return None if size is None or of is None else (size, of)


@lru_cache(maxsize=256)
def _lengths(
    model: ModelCard, dataset: DatasetCard, n_demonstrations: int, settings: Settings
) -> Lengths | None:
    """Tokenise the texts of a cell with the tokenizer alone."""
    from tokenizers import Tokenizer

    file = _tokenizer_file(model)
    if file is None:
        return None
    sizes: dict[str, Any] = {"n_demonstrations": n_demonstrations, "settings": settings}
    asking = Request(learner=InContext(), model=model, dataset=dataset, **sizes)
    task = asking.text_task(lambda rows: rows)
    tokenizer = Tokenizer.from_file(str(file))

    def mean(texts: list[str]) -> float:
        encoded = tokenizer.encode_batch(texts)
        return sum(len(e.ids) for e in encoded) / len(encoded)

    joint = task.description.separator
    return Lengths(
        shown=mean(
            [joint.join(e.ask + e.answer for e in s) for s in task.demonstrations]
        ),
        asked=mean([e.ask for e in task.queries[0]]),
    )


def _tokenizer_file(model: ModelCard) -> Path | None:
    original = model.architecture_source
    if not isinstance(original, Checkpoint):
        return None
    file = local_folder(original) / "tokenizer.json"
    return file if file.is_file() else None
