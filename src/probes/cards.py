"""Cards: what is known about models and datasets before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

Family = Literal["regression", "text"]
Kind = Literal["constructed", "learned", "pretrained", "untrained"]
GridSize = Literal["default", "full"]
Inputs = Literal["uniform", "normal", "laplace", "exponential"]
Keeps = Literal["nothing", "embeddings_and_norms"]
AnswerKind = Literal["labels", "open"]
"""A row's answer: one of a closed set of labels, or any words."""
CHANGES_OF_A_CLOSED_SET = ("flipped", "abstract")
"""Changes of the demonstrations' labels that open answers do not allow."""
NEEDING_CLOSED_LABELS = (*CHANGES_OF_A_CLOSED_SET, "gd_label_words")
"""Variants of claims that open answers do not allow."""


@dataclass(frozen=True, kw_only=True)
class Construction:
    """Weights written by hand for a network of linear self-attention.

    Attributes:
        algorithm: "gd", "gdpp" (GD++) or "newton".
        n_inputs: Dimension d of the inputs.
        n_layers: Number of steps of the algorithm.
        rate: GD's rate on the sum of squares (the papers' η/N); for Newton, the scale
            of the start.
        shrinkage: GD++'s γ; 0 for the other algorithms.
        spoiled_by: Number that is added to one off-diagonal entry of W_V; 0 for none.
        start: W_0, the weights from which GD starts; empty for 0. GD++ has none,
            because it changes the inputs too.
        preconditioner: Factors of the rate, one for each input; empty for 1. Only GD
            has them.
    """

    algorithm: Literal["gd", "gdpp", "newton"]
    n_inputs: int
    n_layers: int
    rate: float
    shrinkage: float = 0.0
    spoiled_by: float = 0.0
    start: tuple[float, ...] = ()
    preconditioner: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A folder in Hugging Face's format, or a Hub id with a revision.

    Attributes:
        location: Absolute path of a local folder, or a Hub id such as ``org/name``.
        revision: Branch, tag or commit on the Hub; ignored for a folder.
        quantisation: How the file that the folder was converted from stores the
            weights, such as "Q4_1"; empty if they were not quantised. The model
            computes with de-quantised weights.
        n_updates: Updates of the training after which the weights were saved; None if
            that is not known.
    """

    location: str
    revision: str = "main"
    quantisation: str = ""
    n_updates: int | None = None


@dataclass(frozen=True, kw_only=True)
class LinearTasks:
    """A distribution of linear-regression tasks y = w·x + noise.

    Attributes:
        n_inputs: Dimension d.
        input_scale: Uniform inputs are in [−scale, scale]^d; other distributions have
            the same mean square.
        inputs: The distribution of inputs: "uniform", "normal", "laplace", or
            "exponential", which is positive.
        condition: Largest divided by smallest standard deviation of the coordinates;
            1 is isotropic.
        noise: Standard deviation of the noise on the demonstrations' answers.
        teacher_mean: Mean of each coordinate of w.
        teacher_scale: Standard deviation of each coordinate of w.
        n_teachers: M, if tasks share a pool of M teachers, drawn once (see
            ``regression_tasks.teacher_pool``); 0 gives every task a teacher of its own.
    """

    n_inputs: int = 10
    input_scale: float = 1.0
    inputs: Inputs = "uniform"
    condition: float = 1.0
    noise: float = 0.0
    teacher_mean: float = 0.0
    teacher_scale: float = 1.0
    n_teachers: int = 0


@dataclass(frozen=True, kw_only=True)
class Learned:
    """A folder with a network that was trained on regression tasks in context.

    ``models.regression.checkpoints`` loads it.

    Attributes:
        location: Absolute path of a folder with config.json and model.safetensors.
        architecture: "linear" self-attention, or a causal "softmax" transformer.
        trained_on: The tasks of its training.
    """

    location: str
    architecture: Literal["linear", "softmax"]
    trained_on: LinearTasks


TrainedWeights = Checkpoint | Learned


@dataclass(frozen=True, kw_only=True)
class Untrained:
    """The architecture of another model with seeded random weights.

    Attributes:
        of: The model with the same architecture.
        seed: Seed of the weights.
        keeps: Which weights are the trained ones: none, or the embeddings (including
            the output's) and the norms (Deutch et al. 2023, arXiv:2311.07772).
    """

    of: TrainedWeights
    seed: int = 0
    keeps: Keeps = "nothing"

    @property
    def keeps_trained_parts(self) -> bool:
        """Whether some of the weights are the trained model's."""
        return self.keeps != "nothing"


Weights = Construction | TrainedWeights | Untrained


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


@dataclass(frozen=True, kw_only=True)
class TextRows:
    """Where labelled rows are, and how they become prompts.

    Attributes:
        location: A folder with train and test files, or one file (.jsonl, .csv, .tsv or
            .json). A relative path is looked up in ``--data-dir``.
        description: A TOML file with columns, template and verbalizer; None for the
            one beside the rows, or the defaults.
        templates: Names of descriptions, each with its TOML file. ``--template``
            chooses among them; until then, ``description`` holds.
        hub: Hub id, and configuration, of rows that are not in the folder; empty for
            none.
        answers: "labels" of a closed set, or "open"; the TOML file says the same.
        reversible: Whether rows can be asked in reverse, for the input given the
            answer; the TOML file says how.
        keeps_repeats: Whether rows that ask the same are different rows, as samples of
            a process with few queries are. Otherwise only the first of them is read.
    """

    location: str
    description: str | None = None
    templates: tuple[tuple[str, str], ...] = ()
    hub: str = ""
    answers: AnswerKind = "labels"
    reversible: bool = False
    keeps_repeats: bool = False


@dataclass(frozen=True, kw_only=True)
class DatasetCard:
    """A dataset.

    Attributes:
        name: Identifier, as in the matrix.
        family: Which models can read it: "regression" networks or "text" models.
        summary: One line for ``--list-datasets``.
        rows: Where its tasks or rows come from.
        language: The language of models that can read it.
        shipped: Part of the default run; needs no download.
        full_only: Part of ``--grid full`` only.
        demonstrations: Numbers of demonstrations, unless ``--demos`` gives others.
        full_demonstrations: The same for ``--grid full``; empty for no difference.
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

    @property
    def has_closed_labels(self) -> bool:
        """Whether every answer is one of a few labels; other answers are open words."""
        return isinstance(self.rows, TextRows) and self.rows.answers == "labels"

    @property
    def can_be_reversed(self) -> bool:
        """Whether its rows can be asked for the input, given the answer."""
        return isinstance(self.rows, TextRows) and self.rows.reversible

    @property
    def templates(self) -> tuple[str, ...]:
        """Names of the templates that ``--template`` may choose, the present first."""
        if not isinstance(self.rows, TextRows):
            return ()
        present = self.rows.description
        in_order = sorted(self.rows.templates, key=lambda pair: pair[1] != present)
        return tuple(name for name, _ in in_order)

    def with_template(self, name: str) -> DatasetCard:
        """Return the dataset with the template of a name; itself if it has none."""
        if name not in self.templates:
            return self
        assert isinstance(self.rows, TextRows)
        path = dict(self.rows.templates)[name]
        return replace(self, rows=replace(self.rows, description=path))

    def demonstrations_of(self, size: GridSize) -> tuple[int, ...]:
        """List the numbers of demonstrations of a grid."""
        full = self.full_demonstrations if size == "full" else ()
        return full or self.demonstrations
