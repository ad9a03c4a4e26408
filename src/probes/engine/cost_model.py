"""The cost of observations of text models, counted before anything runs.

A learner counts the tokens that a model reads and learns from (``learner_cost``). FLOPs
are 2 for each parameter and token read, and three times as many where gradients are
taken (Kaplan et al. 2020, arXiv:2001.08361, §2.1); attention to earlier tokens is left
out. The count is an upper limit: sub-models cost less, and the number of passes is
chosen later. Neither torch nor weights are loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from probes.cards import Checkpoint, DatasetCard, ModelCard
from probes.cell import Settings
from probes.data.datasets import read_rows
from probes.data.text_tasks import draw_text
from probes.errors import ProbesError
from probes.models.files.fingerprint import local_folder
from probes.models.parameter_count import n_parameters
from probes.observations.learner_cost import CountsItsCost, PromptSizes
from probes.observations.request import Request

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


def cost_of(requests: Iterable[Request]) -> Cost:
    """Add up what observations cost.

    Args:
        requests: Distinct ones. A learner's choice of settings is counted once for each
            cell, with the first request that needs it.

    Returns:
        The sum. Regression tasks, learners that do not count their cost, and models
        whose size or tokenizer no file tells are unknown.
    """
    total, chosen = Cost(), set()
    for request in requests:
        counted = _cost(request)
        total = total.plus(Cost(unknown=1) if counted is None else counted[0])
        cell = (request.learner, request.model, request.dataset)
        choice = (*cell, request.n_demonstrations)
        if counted is not None and choice not in chosen:
            total = total.plus(counted[1])
        chosen.add(choice)
    return total


def flops_of(request: Request, facts: Mapping[str, Any]) -> float | None:
    """Count the operations of an observation that was made.

    Args:
        request: The request that it answers.
        facts: Its facts, such as the number of passes that the learner chose.

    Returns:
        The count; None where it is unknown.
    """
    counted = _cost(request, facts)
    return None if counted is None else counted[0].flops


def _cost(
    request: Request, facts: Mapping[str, Any] | None = None
) -> tuple[Cost, Cost] | None:
    """Compute the cost of an observation, and of the choice before it."""
    try:
        model = _model_and_sizes(request)
    except (ProbesError, OSError):  # the request's own cell reports it
        return None
    if model is None or not isinstance(request.learner, CountsItsCost):
        return None
    size, sizes = model
    counted = request.learner.cost(sizes, facts)
    if counted is None:
        return None
    width = WIDTHS.get(request.settings.dtype, 4)
    own, choice = (
        Cost.of(work.read, work.learned, size=size, steps=work.steps, width=width)
        for work in (counted.observation, counted.choice)
    )
    return own, choice


def _model_and_sizes(request: Request) -> tuple[int, PromptSizes] | None:
    """Count the model's parameters and the tokens of its prompts."""
    if not request.model.answers_text:
        return None
    size = n_parameters(request.model)
    sizes = _prompt_sizes(
        request.model, request.dataset, request.n_demonstrations, request.settings
    )
    return None if size is None or sizes is None else (size, sizes)


@lru_cache(maxsize=256)
def _prompt_sizes(
    model: ModelCard, dataset: DatasetCard, n_demonstrations: int, settings: Settings
) -> PromptSizes | None:
    """Tokenise the texts of a cell with the tokenizer alone."""
    from tokenizers import Tokenizer

    file = _tokenizer_file(model)
    if file is None:
        return None
    rows = read_rows(dataset, settings.data_dir)
    task = draw_text(rows, settings, n_demonstrations=n_demonstrations)
    tokenizer = Tokenizer.from_file(str(file))

    def mean(texts: list[str]) -> float:
        encoded = tokenizer.encode_batch(texts)
        return sum(len(e.ids) for e in encoded) / len(encoded)

    separator = task.description.separator
    shown = [
        separator.join(e.ask + e.answer for e in examples)
        for examples in task.demonstrations
    ]
    return PromptSizes(
        n_sets=settings.n_sets,
        n_queries=settings.n_queries,
        n_calibration=settings.n_calibration,
        n_demonstrations=n_demonstrations,
        demonstration_tokens=mean(shown),
        query_tokens=mean([e.ask for e in task.queries[0]]),
    )


def _tokenizer_file(model: ModelCard) -> Path | None:
    source = model.architecture_source
    if not isinstance(source, Checkpoint):
        return None
    file = local_folder(source) / "tokenizer.json"
    return file if file.is_file() else None
