"""What the registries know of models and datasets: plain types, nothing loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

Family = Literal["regression", "text"]
Kind = Literal["constructed", "learned", "pretrained", "untrained"]
GridSize = Literal["default", "full"]
Inputs = Literal["uniform", "normal", "laplace", "exponential"]
Keeps = Literal["nothing", "embeddings_and_norms"]


@dataclass(frozen=True, kw_only=True)
class Construction:
    """Weights written by hand for a network of linear self-attention.

    Attributes:
        algorithm: "gd", "gdpp" (GD++) or "newton".
        n_inputs: Dimension d of the inputs.
        n_layers: Steps of the algorithm that the network takes.
        rate: GD's rate on the sum of squares (the papers' η/N); Newton's start scale.
        shrinkage: GD++'s γ; 0 for the others.
        spoiled_by: What is added to one off-diagonal entry of W_V; 0 spoils nothing.
        start: W_0, the weights from which GD starts; empty for 0, and for GD++, which
            moves the inputs too.
    """

    algorithm: Literal["gd", "gdpp", "newton"]
    n_inputs: int
    n_layers: int
    rate: float
    shrinkage: float = 0.0
    spoiled_by: float = 0.0
    start: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A Hugging Face folder, or a Hub id with a revision.

    Attributes:
        location: Absolute path of a local folder, or a Hub id such as ``org/name``.
        revision: Branch, tag or commit on the Hub; ignored for a folder.
    """

    location: str
    revision: str = "main"


@dataclass(frozen=True, kw_only=True)
class Learned:
    """A folder with a network trained on the ICL objective.

    ``models.regression.checkpoints`` loads it.

    Attributes:
        location: Absolute path of a folder with config.json and model.safetensors.
        architecture: "linear" self-attention, or a causal "softmax" transformer.
    """

    location: str
    architecture: Literal["linear", "softmax"]


TrainedWeights = Checkpoint | Learned


@dataclass(frozen=True, kw_only=True)
class Untrained:
    """The architecture of another model with seeded random weights.

    Attributes:
        of: The model whose architecture it is.
        seed: Seed of the weights.
        keeps: What is left as it was trained: nothing, or the embeddings (also the
            output's) and the normalisations (Deutch et al. 2023, arXiv:2311.07772).
    """

    of: TrainedWeights
    seed: int = 0
    keeps: Keeps = "nothing"


Weights = Construction | TrainedWeights | Untrained


class Reference(Protocol):
    """A learner, as far as a card needs to know it (see ``observations.request``)."""

    @property
    def needs_model(self) -> bool:
        """Whether its answers depend on a model, or on the task alone."""

    def observe(self, context: Any) -> Any:
        """Answer every query of the context's request."""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What the registry knows of a model without loading it.

    Attributes:
        name: Identifier, as in the matrix.
        kind: constructed, learned (on the ICL objective), pretrained or untrained.
        family: What it answers: regression tasks or text.
        summary: One line for ``--list-models``.
        weights: Where the weights come from.
        language: What it reads: "english", or a shipped code such as "hmm".
        shipped: Part of the default run; needs no download.
        n_layers: Attention layers that stand for steps of an algorithm; None for text.
        declared: Settings at which the weights claim to do an algorithm, by its name:
            ``{"gd": (rate,)}``. What is not declared is fitted on calibration tasks.
        checkpoints: Earlier states of the same training, the earliest first.
        n_parameters: Numbers in the weights, where no file of ours tells it.
        reference: A learner that answers as the process that wrote the model's training
            texts would; None where nobody knows it.
    """

    name: str
    kind: Kind
    family: Family
    summary: str
    weights: Weights
    language: str = "english"
    n_layers: int | None = None
    shipped: bool = False
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
    def has_untrained_twin(self) -> bool:
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
    def n_setup_layers(self) -> int:
        """Layers before the first step: Newton's first layer writes its start, M_0."""
        source = self.weights
        return int(isinstance(source, Construction) and source.algorithm == "newton")

    def settings_for(self, algorithm: str) -> tuple[float, ...] | None:
        """Return the settings declared for an algorithm, or None."""
        return dict(self.declared).get(algorithm)


@dataclass(frozen=True, kw_only=True)
class LinearTasks:
    """A distribution of linear-regression tasks y = w·x + noise.

    Attributes:
        n_inputs: Dimension d.
        input_scale: Inputs are uniform on [−scale, scale]^d; other inputs have the mean
            square that these have.
        inputs: Of what kind: "uniform", "normal", "laplace", or "exponential", which
            are positive.
        condition: Ratio of the largest to the smallest standard deviation among the
            input's coordinates; 1 is isotropic.
        noise: Standard deviation of the noise on the demonstrations' answers.
        teacher_mean: Mean of each coordinate of w.
        teacher_scale: Standard deviation of each coordinate of w.
    """

    n_inputs: int = 10
    input_scale: float = 1.0
    inputs: Inputs = "uniform"
    condition: float = 1.0
    noise: float = 0.0
    teacher_mean: float = 0.0
    teacher_scale: float = 1.0


@dataclass(frozen=True, kw_only=True)
class TextRows:
    """Where labelled rows stand and how they become prompts.

    Attributes:
        location: A folder with train and test files, or one .jsonl/.csv file; relative
            names are looked up in ``--data-dir``.
        description: A TOML file with columns, template and verbalizer; None: defaults.
        hub: Hub id (and configuration) to read when there is no folder; empty: none.
    """

    location: str
    description: str | None = None
    hub: str = ""


@dataclass(frozen=True, kw_only=True)
class DatasetCard:
    """What the registry knows of a dataset without reading it.

    Attributes:
        name: Identifier, as in the matrix.
        family: What reads it: networks for regression tasks, or language models.
        summary: One line for ``--list-datasets``.
        rows: Where the tasks or rows come from.
        language: Only models of this language read it.
        shipped: Part of the default run; needs no download.
        full_only: Part of ``--grid full`` only.
        demonstrations: Numbers of demonstrations when ``--demos`` is not given.
        full_demonstrations: Those of ``--grid full``; empty for the same.
    """

    name: str
    family: Family
    summary: str
    rows: LinearTasks | TextRows
    language: str = "english"
    shipped: bool = False
    full_only: bool = False
    demonstrations: tuple[int, ...] = (4, 8)
    full_demonstrations: tuple[int, ...] = ()

    @property
    def has_finite_rows(self) -> bool:
        """Whether its rows may run out; regression tasks are drawn without end."""
        return isinstance(self.rows, TextRows)

    def demonstrations_of(self, size: GridSize) -> tuple[int, ...]:
        """List the numbers of demonstrations that a grid of a size runs."""
        full = self.full_demonstrations if size == "full" else ()
        return full or self.demonstrations
