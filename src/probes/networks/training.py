"""Training a loaded model on one demonstration set, and giving its weights back.

What moves is kept in float32 whatever the model's precision; the weights are restored
from memory, never reloaded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from probes.errors import NumericsError
from probes.measurement import Array
from probes.networks.causal_lm import CausalLM, padded
from probes.networks.submodel import parameters_of
from probes.prompts import Example, TextTask
from probes.tokens import Verbalized, encode_checked

if TYPE_CHECKING:
    from probes.learners.gradient import GradientLearner


class Training:
    """Moves the weights of a model while the context is open.

    Args:
        model: The loaded model, whose weights are as they were when the context ends.
        learner: Optimizer, batch size and sub-model.
        labels: The labels in tokens.
        task: The texts.
        shown: The demonstrations to train on.
    """

    def __init__(
        self,
        model: CausalLM,
        learner: GradientLearner,
        labels: Verbalized,
        task: TextTask,
        shown: Sequence[Example],
    ) -> None:
        self.model, self.learner, self.labels, self.task = model, learner, labels, task
        self.moving = parameters_of(model.model, learner.weights)
        self.original = {name: p.detach().clone() for name, p in self.moving.items()}
        self.batch = self._encode(shown)
        self.largest_gradient = 0.0

    def __enter__(self) -> Training:
        """Let the gradients of the moving weights be taken."""
        for parameter in self.moving.values():
            parameter.requires_grad_(True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Restore every weight, also after an error."""
        self.restore()
        for parameter in self.moving.values():
            parameter.requires_grad_(False)
            parameter.grad = None

    def restore(self) -> None:
        """Put the original weights back."""
        with torch.no_grad():
            for name, parameter in self.moving.items():
                parameter.copy_(self.original[name])

    def run(
        self,
        rate: float,
        passes: int,
        *,
        seed: int,
        after_pass: Callable[[int], None] | None = None,
    ) -> None:
        """Train from the original weights.

        Args:
            rate: Learning rate.
            passes: Passes over the demonstrations.
            seed: Seed of reshuffled orders.
            after_pass: Called with the number of passes done, the weights in place.

        Raises:
            NumericsError: The loss is no number any more, or no weight changed although
                the gradient is not 0.
        """
        self.restore()
        self.largest_gradient = 0.0
        masters = [p.detach().float().clone() for p in self.moving.values()]
        step = self._optimizer(masters, rate)
        n = len(self.batch)
        size = self.learner.batch_size or n
        rng = np.random.default_rng(seed)
        for turn in range(passes):
            shuffle = turn > 0 and self.learner.reshuffled
            order = rng.permutation(n).tolist() if shuffle else list(range(n))
            for start in range(0, n, size):
                self._step(
                    [self.batch[i] for i in order[start : start + size]], masters, step
                )
            if after_pass is not None:
                after_pass(turn + 1)
        self._require_moved(rate)

    def losses(
        self, rate: float, passes: Sequence[int], queries: Sequence[Example], seed: int
    ) -> Array:
        """Train once and measure the label loss of queries after several passes.

        Returns:
            Cross-entropy of the right labels' tokens in nats, shape (len(passes),).
        """
        asked = self._encode(queries)
        found: dict[int, float] = {}

        def read(done: int) -> None:
            if done in passes:
                with torch.no_grad():
                    found[done] = float(self._loss(asked))

        self.run(rate, max(passes), seed=seed, after_pass=read)
        values = np.array([found[done] for done in passes])
        if not np.isfinite(values).all():
            raise NumericsError(
                f"Training at rate {rate:g} diverged: the loss of the calibration "
                f"queries is no number. Expected a smaller rate. Lower rates=."
            )
        return values

    def update_norms(self) -> list[float]:
        """Measure how far each tensor moved: Euclidean norms, in the tensors' order."""
        return [
            float((p.detach().float() - self.original[name].float()).norm())
            for name, p in self.moving.items()
        ]

    def move_randomly(self, norms: Sequence[float], seed: int) -> None:
        """Move each tensor by a Gaussian direction of the given norm."""
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for (name, p), norm in zip(self.moving.items(), norms, strict=True):
                noise = torch.randn(p.shape, generator=generator)
                moved = self.original[name].float().cpu() + noise * (
                    norm / noise.norm()
                )
                p.copy_(moved.to(p.device))

    def _optimizer(self, masters: list[Tensor], rate: float) -> Callable[[], None]:
        if self.learner.optimizer == "adam":
            adam = torch.optim.Adam(masters, lr=rate, foreach=True)
            return lambda: adam.step() and None
        sgd = torch.optim.SGD(masters, lr=rate, foreach=True)
        return lambda: sgd.step() and None

    def _step(
        self, batch: list[_Encoded], masters: list[Tensor], step: Callable[[], None]
    ) -> None:
        parameters = list(self.moving.values())
        loss = self._loss(batch)
        if not torch.isfinite(loss):
            raise NumericsError(
                f"Training diverged: the loss on the demonstrations is {loss.item()}. "
                f"Expected a smaller rate. Lower rates=, or pass --dtype float32."
            )
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        for master, gradient in zip(masters, gradients, strict=True):
            master.grad = (
                torch.zeros_like(master) if gradient is None else gradient.float()
            )
        if self.largest_gradient == 0.0:
            found = [m.grad.abs().max() for m in masters if m.grad is not None]
            self.largest_gradient = float(torch.stack(found).max())
        step()
        with torch.no_grad():
            for parameter, master in zip(parameters, masters, strict=True):
                parameter.copy_(master)

    def _require_moved(self, rate: float) -> None:
        if rate == 0.0 or self.largest_gradient == 0.0:
            return
        if any(not torch.equal(p, self.original[n]) for n, p in self.moving.items()):
            return
        dtype = next(iter(self.moving.values())).dtype
        spacing = torch.finfo(dtype).eps / 2
        typical = float(
            torch.stack(
                [o.float().abs().median() for o in self.original.values()]
            ).median()
        )
        usable = spacing * max(typical, 1e-30) / self.largest_gradient
        raise NumericsError(
            f"At rate {rate:g} every update vanishes in the rounding of {dtype}: no "
            f"weight changed, although the gradient is up to "
            f"{self.largest_gradient:.2g}. Expected a rate of at least about "
            f"{usable:.2g}. Raise rates=, or pass --dtype float32."
        )

    def _encode(self, examples: Sequence[Example]) -> list[_Encoded]:
        answers = [self.labels.answers[e.label] for e in examples]
        encoded = encode_checked(
            self.model.tokenizer,
            [(self.task.alone(e), e.where) for e in examples],
            context=self.model.context,
            room=len(self.labels.bridge) + max(map(len, answers)),
        )
        bridge = self.labels.bridge
        return [
            _Encoded([*prompt, *bridge, *answer], len(prompt) + len(bridge))
            for prompt, answer in zip(encoded, answers, strict=True)
        ]

    def _loss(self, batch: list[_Encoded]) -> Tensor:
        """Average over examples the mean cross-entropy of label tokens, in nats."""
        ids, _ = padded([e.tokens[:-1] for e in batch], self.model.device)
        reads = [range(e.answer_from - 1, len(e.tokens) - 1) for e in batch]
        positions = sorted({p for read in reads for p in read})
        logits = self.model.logits(ids, torch.tensor(positions, device=ids.device))
        rows = [row for row, read in enumerate(reads) for _ in read]
        columns = [positions.index(p) for read in reads for p in read]
        targets = [t for e in batch for t in e.tokens[e.answer_from :]]
        shares = [1 / (len(batch) * len(read)) for read in reads for _ in read]
        log_probs = torch.log_softmax(logits[rows, columns], dim=-1)
        picked = log_probs[range(len(targets)), targets]
        return -(picked * torch.tensor(shares, device=ids.device)).sum()


class _Encoded:
    """A prompt with its answer in tokens; the answer starts at ``answer_from``."""

    def __init__(self, tokens: list[int], answer_from: int) -> None:
        assert math.prod((len(tokens), answer_from)) > 0
        self.tokens, self.answer_from = tokens, answer_from
