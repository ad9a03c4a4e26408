"""Cards of models: their weights, and what they can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from probes.cards.dataset_cards import DatasetCard, Family, LinearTasks
from probes.cards.weight_sources import (
    Checkpoint,
    Construction,
    Learned,
    TrainedWeights,
    Untrained,
    Weights,
)

Kind = Literal["constructed", "learned", "pretrained", "untrained"]


class Reference(Protocol):
    """The part of a learner that a card needs (see ``observations.request``)."""

    @property
    def needs_model(self) -> bool:
        """Whether its answers depend on a model, not on the task alone."""

    def observe(self, context: Any) -> Any:
        """Answer every query of the context's request."""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """A model.

    Its properties say what the model can do. Code asks for them instead of comparing
    kinds or types of weights.

    Attributes:
        name: Identifier, as in the matrix.
        kind: "constructed", "learned" (on regression in context), "pretrained" or
            "untrained".
        family: What it answers: "regression" tasks or "text".
        summary: One line for ``--list-models``.
        weights: Where its weights come from.
        language: What it reads: "english", or a name such as "hmm" or "linear_10".
        shipped: Part of the default run; needs no download.
        default_claims: Names of the only claims that the default run judges on it;
            empty for all that apply. A run with ``--models`` judges all.
        n_layers: Attention layers that may be steps of an algorithm; None for text.
        declared: For an algorithm that the weights are said to implement, its name and
            its settings: ``(("gd", (rate,)),)``. Other settings are fitted.
        checkpoints: Earlier states of the same training, the earliest first.
        n_parameters: Number of parameters, if no local file has it.
        reference: A learner that answers as the process behind the training texts
            would; None if that is not known.
    """

    name: str
    kind: Kind
    family: Family
    summary: str
    weights: Weights
    language: str = "english"
    n_layers: int | None = None
    shipped: bool = False
    default_claims: tuple[str, ...] = ()
    declared: tuple[tuple[str, tuple[float, ...]], ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    n_parameters: int | None = None
    reference: Reference | None = None

    def answers(self, dataset: DatasetCard) -> bool:
        """Say whether the model can read a dataset: same family, same language."""
        return self.family == dataset.family and self.language == dataset.language

    @property
    def answers_text(self) -> bool:
        """Whether it is a language model; the others answer regression tasks."""
        return self.family == "text"

    @property
    def decided_by_algebra(self) -> bool:
        """Whether its weights were written by hand, so that rounding is the only error.

        It does an algorithm or it does not, which needs no evidence of learning.
        """
        return self.kind == "constructed"

    @property
    def has_untrained_version(self) -> bool:
        """Whether its weights were trained, so that random ones are a control."""
        return self.kind != "constructed"

    @property
    def reads_any_number(self) -> bool:
        """Whether no number of demonstrations is too long for the network."""
        return self.kind == "constructed"

    @property
    def architecture_source(self) -> TrainedWeights | Construction:
        """The weights that fix its architecture; of an untrained model, the trained."""
        return self.weights.of if isinstance(self.weights, Untrained) else self.weights

    @property
    def attends_to_pairs(self) -> bool:
        """Whether it is linear self-attention on tokens (x, y), as GD's is."""
        source = self.architecture_source
        if isinstance(source, Construction):
            return source.algorithm != "newton"  # whose tokens carry a memory
        return isinstance(source, Learned) and source.architecture == "linear"

    @property
    def trained_on(self) -> LinearTasks | None:
        """The regression tasks of its training; None if it had no such training."""
        return self.weights.trained_on if isinstance(self.weights, Learned) else None

    @property
    def n_setup_layers(self) -> int:
        """Layers before the first step: Newton's first layer writes its start, M_0."""
        source = self.weights
        return int(isinstance(source, Construction) and source.algorithm == "newton")

    def settings_for(self, algorithm: str) -> tuple[float, ...] | None:
        """Return the declared settings of an algorithm, or None."""
        return dict(self.declared).get(algorithm)
