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
from functools import lru_cache
from pathlib import Path
from typing import Any

from probes.cards import Checkpoint, DatasetCard, ModelCard
from probes.cell import Settings
from probes.data.datasets import read_rows
from probes.data.shown_subsets import number_shown, sets_of_each
from probes.data.text_tasks import draw_text
from probes.errors import ProbesError
from probes.models.files.fingerprint import local_folder
from probes.models.files.untrusted_config import LAYER_KEYS, read_json_object
from probes.models.parameter_count import n_parameters
from probes.observations.learner_cost import (
    CountsItsCost,
    PromptSizes,
    TokenCount,
)
from probes.observations.request import Request
from probes.observations.shared_work import work_of

TOKENS_A_PASS = 2048
"""Tokens of one forward pass, which reads all weights (``models.llama.inference``)."""
MOVED_A_STEP = 5
"""How often a step moves the weights: forward, backward, gradient, update (twice)."""
WIDTHS = {"float64": 8, "bfloat16": 2, "float16": 2}  # bytes; others have 4


@dataclass(frozen=True, kw_only=True)
class ModelSize:
    """How large a model is.

    Attributes:
        total: Parameters.
        head: Those of the output embeddings; 0 if no file tells.
        layers: Those in the layers, which every token goes through.
        n_layers: Layers; 1 if no file tells.
    """

    total: int
    head: int = 0
    layers: int
    n_layers: int = 1

    @classmethod
    def of(cls, total: int, config: Mapping[str, Any]) -> ModelSize:
        """Read the sizes of a model from its ``config.json``."""
        config = config.get("text_config", config)
        width = config.get("hidden_size") or config.get("n_embd") or 0
        head = int(width * config.get("vocab_size", 0))
        embeddings = head if config.get("tie_word_embeddings", True) else 2 * head
        n_layers = next((config[key] for key in LAYER_KEYS if config.get(key)), 1)
        if embeddings >= total:
            head = embeddings = 0
        layers = total - embeddings
        return cls(total=total, head=head, layers=layers, n_layers=int(n_layers))


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


def model_size_of(model: ModelCard) -> ModelSize | None:
    """Read how large a language model is; None if no local file tells.

    Raises:
        ModelError: A local file is unreadable.
    """
    total = n_parameters(model)
    if total is None or _tokenizer_file(model) is None:
        return None
    return ModelSize.of(total, _config_of(model))


def _cost(request: Request, facts: Mapping[str, Any] | None) -> CostRange | None:
    """Compute the cost of an observation; None if it is unknown."""
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
    width = width_of(request.settings)
    return CostRange(
        foreseen=Cost.of(counted.observation, size, width=width),
        limit=Cost.of(counted.limit or counted.observation, size, width=width),
    )


def _model_and_sizes(request: Request) -> tuple[ModelSize, PromptSizes] | None:
    """Count the model's parameters and the tokens of its prompts."""
    if not request.model.answers_text:
        return None
    size = model_size_of(request.model)
    sizes = _prompt_sizes(
        request.model, request.dataset, request.n_demonstrations, request.settings
    )
    if size is None or sizes is None:
        return None
    if request.queries == "calibration":
        sizes = replace(sizes, n_queries=sizes.n_calibration)
    if request.queries in ("demonstrated", "reversed"):
        sizes = replace(sizes, n_queries=sizes.n_demonstrations)
    sizes = _in_view(sizes, request)
    return size, replace(sizes, n_layers=size.n_layers)


def _in_view(sizes: PromptSizes, request: Request) -> PromptSizes:
    """Count only the demonstrations that are shown, in every set that is made."""
    n_shown = number_shown(request.shown, sizes.n_demonstrations)
    return replace(
        sizes,
        n_sets=sizes.n_sets * sets_of_each(request.shown, sizes.n_demonstrations),
        n_demonstrations=n_shown,
        demonstration_tokens=sizes.demonstration_tokens
        * n_shown
        / sizes.n_demonstrations,
    )


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


@lru_cache(maxsize=64)
def _config_of(model: ModelCard) -> Mapping[str, Any]:
    source = model.architecture_source
    assert isinstance(source, Checkpoint)  # it has a tokenizer's file
    return read_json_object(local_folder(source) / "config.json")
