"""Plain types of the matrix: models and datasets by name, sizes, and the cell."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from probes.errors import OptionError

if TYPE_CHECKING:
    from probes.request import Learner

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
    """A folder with a network trained on the ICL objective (see ``networks.learned``).

    Attributes:
        location: Absolute path of a folder with config.json and model.safetensors.
        architecture: "linear" self-attention, or a causal "softmax" transformer.
    """

    location: str
    architecture: Literal["linear", "softmax"]


@dataclass(frozen=True, kw_only=True)
class Untrained:
    """The architecture of another model with seeded random weights.

    Attributes:
        of: The model whose architecture it is.
        seed: Seed of the weights.
        keeps: What is left as it was trained: nothing, or the embeddings (also the
            output's) and the normalisations (Deutch et al. 2023, arXiv:2311.07772).
    """

    of: Checkpoint | Learned
    seed: int = 0
    keeps: Keeps = "nothing"


Weights = Construction | Checkpoint | Learned | Untrained


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
    reference: Learner | None = None

    def answers(self, dataset: DatasetCard) -> bool:
        """Say whether the model reads the language that the dataset is written in."""
        return self.family == dataset.family and self.language == dataset.language

    @property
    def attends_to_pairs(self) -> bool:
        """Whether it is linear self-attention on tokens (x, y), as GD's is."""
        home = self.weights.of if isinstance(self.weights, Untrained) else self.weights
        if isinstance(home, Construction):
            return home.algorithm != "newton"  # whose tokens carry a memory
        return isinstance(home, Learned) and home.architecture == "linear"

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

    def demonstrations_of(self, size: GridSize) -> tuple[int, ...]:
        """List the numbers of demonstrations that a grid of a size runs."""
        full = self.full_demonstrations if size == "full" else ()
        return full or self.demonstrations


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The sizes of every cell of a run, and where and how models run.

    Attributes:
        n_sets: Demonstration sets, the unit that carries the power of a verdict.
        n_queries: Queries answered after each demonstration set.
        n_orders: Orders of the same demonstrations.
        n_calibration: Queries on which rates and steps are chosen.
        seed: Seed of everything that is drawn.
        device: "cpu", "cuda", "cuda:N", or "auto", which spreads a model over GPUs.
        dtype: Precision in which text models run: float32, bfloat16, float16, float64.
        data_dir: Folder in which datasets are looked up; None: only what ships.
        long_rows: What becomes of rows that are too long for the model's context when
            every demonstration and the query have an equal share of it: "error" keeps
            them, and the cell stops if its prompts do not fit; "drop" draws from the
            others only, which is another, easier population of rows.

    Raises:
        OptionError: A size is below its least useful value.
    """

    n_sets: int = 10
    n_queries: int = 40
    n_orders: int = 6
    n_calibration: int = 24
    seed: int = 0
    device: str = "cpu"
    dtype: str = "float32"
    data_dir: str | None = None
    long_rows: str = "error"

    def __post_init__(self) -> None:
        least = {"n_sets": 1, "n_queries": 1, "n_orders": 2, "n_calibration": 1}
        for name, bound in least.items():
            value = getattr(self, name)
            if value < bound:
                option = "--" + name.removeprefix("n_").replace("_", "-")
                raise OptionError(
                    f"{option} is {value}. Expected at least {bound}. "
                    f"Pass {option} {bound} or more."
                )
        if self.dtype not in ("float32", "float64", "bfloat16", "float16"):
            raise OptionError(
                f"--dtype is {self.dtype!r}. Expected float32, float64, bfloat16 or "
                f"float16. Pass one of these."
            )


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One place of the matrix: what a claim is judged on."""

    model: ModelCard
    dataset: DatasetCard
    n_demonstrations: int
    settings: Settings
    variant: str | None = None

    @property
    def id(self) -> str:
        """The cell's part of the test id, joined by hyphens."""
        parts = [self.model.name, self.dataset.name, str(self.n_demonstrations)]
        return "-".join(parts if self.variant is None else [*parts, self.variant])


def canonical(value: Any) -> Any:
    """Turn dataclasses into JSON that names its types, for content keys.

    Raises:
        TypeError: A field holds something that has no canonical JSON; our own bug.
    """
    if value is None or isinstance(value, (str, int, float)):
        return value  # most values by far; a plan has millions
    if is_dataclass(value) and not isinstance(value, type):
        named = {f.name: canonical(getattr(value, f.name)) for f in fields(value)}
        return {"type": type(value).__name__, **named}
    if isinstance(value, tuple | list):
        return [canonical(v) for v in value]
    if isinstance(value, dict):
        return {str(k): canonical(v) for k, v in value.items()}
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no canonical JSON")


def digest(value: Any) -> str:
    """Hash canonical JSON: 32 hexadecimal digits of its SHA-256."""
    return digest_of_json(canonical(value))


def digest_of_json(value: Any) -> str:
    """Hash what is canonical JSON already, as :func:`digest` does."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def seed_of(*parts: Any) -> int:
    """Derive a 63-bit seed from a description, the same on every machine."""
    return int(digest(list(parts))[:15], 16)
