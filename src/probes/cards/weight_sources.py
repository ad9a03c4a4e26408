"""Where a model's weights come from: a construction, a training, or a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from probes.cards.dataset_cards import LinearTasks

Keeps = Literal["nothing", "embeddings_and_norms"]


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
