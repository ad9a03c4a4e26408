"""Low-rank changes of the attention projections (LoRA), as one more sub-model.

Hu et al. 2021, arXiv:2106.09685: a projection W becomes W + BA, of which B and A move.
"""

from __future__ import annotations

import torch
from torch import Tensor

from probes.hashing import seed_of
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.llama.backward import Take
from probes.models.runtime.memory import bytes_to_train, require_room
from probes.models.training.label_batches import LabelBatches
from probes.models.training.settings import TrainingSettings
from probes.models.training.trainer import Training
from probes.models.weights.gradients import Gradient, formed
from probes.models.weights.stacks import Weights

RANK = 4
"""From 1 to 64 the authors see little difference (their Table 6)."""
PREFIX = "lora@"


def training_of(
    model: CausalLM, settings: TrainingSettings, batches: LabelBatches
) -> Training:
    """Give the training that a sub-model wants.

    Args:
        model: The loaded model; its weights stay as they are.
        settings: Optimizer, batch size and sub-model.
        batches: The demonstrations of every set.
    """
    kind = LoRATraining if settings.weights.startswith(PREFIX) else Training
    return kind(model, settings, batches)


class LoRATraining(Training):
    """Moves the factors A and B of every projection; what it tells are whole matrices.

    B starts at 0, A at seeded Gaussian rows of length 1 on average, the same for every
    trial. There is no scale α/r beside the rate.

    Args:
        model: The loaded model; its weights stay as they are.
        settings: Optimizer, batch size and which layers, "lora@all" or "lora@middle".
        batches: The demonstrations of every set.
    """

    def _require_room(self, n_trials: int) -> None:
        optimizer = self.settings.optimizer
        require_room(
            bytes_to_train(self.start, n_trials=n_trials, optimizer=optimizer),
            self.model.device,
            what=f"LoRA by {optimizer}, {n_trials} trials at once,",
            mending="Name one layer, such as weights='lora@middle', or pass a narrower "
            "--dtype.",
        )

    def _at_start(self) -> Weights:
        """Start the factors of every projection, in float32 or wider, shape (1, …)."""
        found: Weights = {}
        for name, p in self.start.items():
            d_out, d_in = p.shape
            wide = torch.promote_types(p.dtype, torch.float32)
            A = _gaussian(name, d_in).to(p.device, wide) / d_in**0.5
            found[f"{name}:A"] = A[None]
            found[f"{name}:B"] = torch.zeros(
                1, d_out, RANK, dtype=wide, device=p.device
            )
        return found

    def _working(self, masters: Weights) -> Weights:
        """Add the changes to the projections, rounded to the model's precision."""
        return {
            name: (p + masters[f"{name}:B"] @ masters[f"{name}:A"]).to(p.dtype)
            for name, p in self.start.items()
        }

    def _learn(self, moving: Weights, batch: tuple[Tensor, ...], take: Take) -> Tensor:
        """Carry the projections' gradients over to the factors, by the chain rule."""

        def carry(name: str, gradient: Gradient) -> None:
            A, B = moving[f"{name}:A"], moving[f"{name}:B"]
            wide = formed(gradient).to(A.dtype)
            of_factors = {"A": B.mT @ wide, "B": wide @ A.mT}
            for factor, found in of_factors.items():
                take(f"{name}:{factor}", found)

        return super()._learn(moving, batch, carry)


def _gaussian(name: str, d_in: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed_of("lora", name))
    return torch.randn(RANK, d_in, generator=generator)
