"""Training on demonstrations: many sets and rates at once, the model left untouched.

The weights that move are tensors of their own, kept in float32 or wider whatever the
model's precision; the model's are never written. Several trials of a small model run as
one stacked batch; a large one trains one trial at a time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.func import grad_and_value, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from probes.measurement import Array
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.frozen_layers import Replay
from probes.models.llama.backward import Take
from probes.models.runtime.memory import bytes_to_train, require_room
from probes.models.runtime.oom_halving import in_halves
from probes.models.runtime.thread_pool import abreast, n_abreast, require_wanted
from probes.models.training.label_batches import LabelBatches
from probes.models.training.label_loss import Taught
from probes.models.training.optimizers import Descent
from probes.models.training.settings import TrainingSettings
from probes.models.training.training_runs import Trained, Trial, fault_of
from probes.models.weights.gradients import Gradient, formed
from probes.models.weights.parameter_groups import lowest_layer, parameters_of
from probes.models.weights.stacks import Weights, bytes_of, n_stacked, unstacked

Found = TypeVar("Found")

VMAP_BYTES = 1 << 28
"""Weights of all trials of one stack; a trial needs about four times its weights."""
STACKED_TOKENS = 128
"""A step of more tokens is bound by arithmetic, and stacking trials by vmap gains
nothing: on 260 K weights 1.8 times faster at 48 tokens, 1.2 at 100, 0.9 at 240."""
WRITTEN_TOKENS = 4096
"""Tokens of one step of all trials of a stack, where the model is written out."""


class Training:
    """Trains a model on demonstration sets.

    Args:
        model: The loaded model; its weights stay as they are.
        settings: Optimizer, batch size and sub-model.
        batches: The demonstrations of every set.
    """

    def __init__(
        self, model: CausalLM, settings: TrainingSettings, batches: LabelBatches
    ) -> None:
        self.model, self.settings = model, settings
        self.start = parameters_of(model.model, settings.weights)
        layer = lowest_layer(self.start)
        self.replay = Replay(model.model, layer) if layer else None
        self.taught = (
            None if model.written is None else Taught(model.written, self.start)
        )
        self.batches = self._replayed(batches)

    def groups(self, trials: Sequence[Trial]) -> Iterator[Sequence[Trial]]:
        """Cut trials into groups that are trained at once, stacked or side by side."""
        n = self._n_abreast
        return self.stacks(trials) if n == 1 else _parts_of(n, trials)

    def stacks(self, trials: Sequence[Trial]) -> Iterator[Sequence[Trial]]:
        """Cut trials into stacks, whose weights are moved together."""
        size = self.settings.batch_size or self.batches.n_examples
        held, tokens = bytes_of(self.start), size * self.batches.n_tokens
        if self.taught is not None:
            stacked = n_stacked(held, self.model.device)
            fits = min(stacked, WRITTEN_TOKENS // tokens)
        else:
            fits = 1 if tokens > STACKED_TOKENS else VMAP_BYTES // held
        return _parts_of(max(1, fits), trials)

    def run(
        self,
        trials: Sequence[Trial],
        passes: int,
        *,
        after_pass: Callable[[int, Weights], None] | None = None,
    ) -> Trained:
        """Train a group of trials from the model's weights.

        Args:
            trials: One group (see :meth:`groups`); one stack, if after_pass is given.
            passes: Passes over the demonstrations.
            after_pass: Called with the number of passes done and the weights.

        Raises:
            ModelError: Memory runs out with a single trial.
        """

        def some(trials: Sequence[Trial]) -> Trained:
            return self._run(trials, passes, after_pass)

        if after_pass is not None:
            self._require_room(len(trials))
            return some(trials)
        parts = self._together(trials, some)
        if len(parts) == 1:
            return parts[0]
        names = parts[0].weights
        return Trained(
            weights={n: torch.cat([part.weights[n] for part in parts]) for n in names},
            faults=[fault for part in parts for fault in part.faults],
        )

    @property
    def _n_abreast(self) -> int:
        """How many trials run side by side, each alone; one where they are stacked."""
        held, device = bytes_of(self.start), self.model.device
        if self.taught is None or n_stacked(held, device) > 1:
            return 1
        return n_abreast(self.model.n_weight_bytes, device)

    def _together(
        self, trials: Sequence[Trial], some: Callable[[Sequence[Trial]], Found]
    ) -> list[Found]:
        """Run a group: side by side, or stacked as far as memory reaches."""
        n = self._n_abreast
        self._require_room(len(trials) if n == 1 else min(n, len(trials)))
        if n > 1:
            return abreast(some, [[trial] for trial in trials], n=n)
        return [part for _, part in in_halves(trials, some, what="one training")]

    def _run(
        self,
        trials: Sequence[Trial],
        passes: int,
        after_pass: Callable[[int, Weights], None] | None,
    ) -> Trained:
        masters = self._masters(trials)
        moving = unstacked(masters)
        sets = torch.tensor([t.index for t in trials], device=self.model.device)
        descent = Descent(optimizer=self.settings.optimizer, rates=self._rates(trials))
        finite = torch.ones(len(trials)).bool()
        for turn, batches in enumerate(self._orders(trials, passes), start=1):
            for picked in batches:
                require_wanted()
                batch = self.batches.take(sets, picked)
                descent.begin_step()
                losses = self._learn(moving, batch, partial(descent.move, moving))
                finite &= torch.isfinite(losses).cpu()
            if after_pass is not None:
                after_pass(turn, self._working(masters))
        weights = self._working(masters)
        faults = [
            fault_of(
                trial,
                _at(weights, place),
                self.start,
                is_finite=bool(finite[place]),
                largest=partial(self._largest_gradient, trial),
            )
            for place, trial in enumerate(trials)
        ]
        return Trained(weights=weights, faults=faults)

    def _largest_gradient(self, trial: Trial) -> float:
        """Find the largest entry in the first step that has a gradient, or 0."""
        sets = torch.tensor([trial.index], device=self.model.device)
        start, sizes = unstacked(self._at_start()), [0.0]

        def note(_: str, gradient: Gradient) -> None:
            sizes.extend(abs(float(end)) for end in formed(gradient).aminmax())

        for batches in self._orders([trial], 1):
            for picked in batches:
                self._learn(start, self.batches.take(sets, picked), note)
                if max(sizes) > 0:
                    return max(sizes)
        return 0.0

    def losses(
        self, trials: Sequence[Trial], passes: Sequence[int], asked: LabelBatches
    ) -> tuple[Array, list[str]]:
        """Train a group once and measure the label loss of queries after some passes.

        Args:
            trials: One group.
            passes: When to read the loss.
            asked: The queries of every set.

        Returns:
            Cross-entropy of the right labels' tokens in nats, infinite where the trial
            failed, shape (n_trials, len(passes)); and why it failed.

        Raises:
            ModelError: Memory runs out with a single trial.
        """
        asked = self._replayed(asked)

        def some(trials: Sequence[Trial]) -> tuple[Array, list[str]]:
            return self._losses(trials, passes, asked)

        parts = self._together(trials, some)
        return (
            np.concatenate([losses for losses, _ in parts]),
            [fault for _, faults in parts for fault in faults],
        )

    def _losses(
        self, trials: Sequence[Trial], passes: Sequence[int], asked: LabelBatches
    ) -> tuple[Array, list[str]]:
        found: dict[int, Array] = {}

        def read(done: int, weights: Weights) -> None:
            if done in passes:
                found[done] = self._losses_of(trials, weights, asked)

        trained = self._run(trials, max(passes), read)
        values = np.stack([found[done] for done in passes], axis=1)
        failed = np.array([bool(fault) for fault in trained.faults])
        values[failed] = np.inf
        return np.where(np.isfinite(values), values, np.inf), trained.faults

    def _losses_of(
        self, trials: Sequence[Trial], weights: Weights, asked: LabelBatches
    ) -> Array:
        """Measure every trial's loss on the queries of its set, shape (n_trials,)."""
        sets = torch.tensor([t.index for t in trials], device=self.model.device)
        with torch.no_grad():
            if self.taught is None:
                batch = zip(*asked.take(sets), strict=True)
                losses = [
                    self._loss(_at(weights, i), asked.columns, *one)
                    for i, one in enumerate(batch)
                ]
            else:
                losses = list(self._taught_losses(sets, weights, asked))
        return np.array([float(loss) for loss in losses])

    def _taught_losses(
        self, sets: Tensor, weights: Weights, asked: LabelBatches
    ) -> Iterator[Tensor]:
        """Give losses in turn, so many trials at once as their tokens allow."""
        assert self.taught is not None
        most = max(1, 2 * WRITTEN_TOKENS // (asked.n_examples * asked.n_tokens))
        for start in range(0, len(sets), most):
            here = slice(start, start + most)
            batch = asked.take(sets[:1] if asked.is_shared else sets[here])
            part = unstacked({name: w[here] for name, w in weights.items()})
            self.model.count(1)
            yield from self.taught.losses(part, asked.columns, batch)

    def update_norms(self, weights: Weights) -> list[float]:
        """Measure how far each tensor moved: Euclidean norms, in the tensors' order."""
        return [
            float((weights[name].float() - p.detach().float()).norm())
            for name, p in self.start.items()
        ]

    def moved_randomly(self, norms: Sequence[float], seed: int) -> Weights:
        """Move each tensor by a Gaussian direction of the given norm."""
        generator = torch.Generator().manual_seed(seed)
        moved = {}
        for (name, p), norm in zip(self.start.items(), norms, strict=True):
            noise = torch.randn(p.shape, generator=generator)
            shifted = p.detach().float().cpu() + noise * (norm / noise.norm())
            moved[name] = shifted.to(p)
        return moved

    def _require_room(self, n_trials: int) -> None:
        """Refuse what would run out of memory, before so many trials are begun."""
        moved, optimizer = self.settings.weights, self.settings.optimizer
        require_room(
            bytes_to_train(
                self.start,
                n_trials=n_trials,
                optimizer=optimizer,
                gradients="all" if self.taught is None else "largest",
            ),
            self.model.device,
            what=f"Training {moved} by {optimizer}, {n_trials} trials at once,",
            mending="Train a sub-model, such as weights='W_V@middle', or pass a "
            "narrower --dtype.",
        )

    def _at_start(self) -> Weights:
        """Give what moves as it is before, shape (1, …); it is not to be moved."""
        return {name: p.detach()[None] for name, p in self.start.items()}

    def _masters(self, trials: Sequence[Trial]) -> Weights:
        """Copy what moves, once for each trial, in float32 or wider."""
        return {
            name: p.to(_wide(p.dtype)).expand(len(trials), *p.shape[1:]).clone()
            for name, p in self._at_start().items()
        }

    def _replayed(self, batches: LabelBatches) -> LabelBatches:
        if self.replay is None:
            return batches
        self.model.count(len(batches.ids))
        if self.taught is not None:
            return replace(batches, hidden=self.taught.record(batches.ids))
        return batches.replayed(self.replay)

    def _rates(self, trials: Sequence[Trial]) -> Tensor:
        rates = [trial.rate for trial in trials]
        return torch.tensor(rates, dtype=torch.float64, device=self.model.device)

    def _orders(
        self, trials: Sequence[Trial], passes: int
    ) -> Iterator[tuple[Tensor, ...]]:
        """Give, for each pass, the examples of every step, shape (n_trials, size)."""
        n = self.batches.n_examples
        size = self.settings.batch_size or n
        draws = [np.random.default_rng(trial.seed) for trial in trials]
        for turn in range(passes):
            shuffle = turn > 0 and self.settings.reshuffled
            orders = [rng.permutation(n) if shuffle else np.arange(n) for rng in draws]
            picked = torch.from_numpy(np.stack(orders)).to(self.model.device)
            yield torch.split(picked, size, dim=1)

    def _working(self, masters: Weights) -> Weights:
        """Round the weights to the model's precision; no copy if it is theirs."""
        return {name: m.to(self.start[name].dtype) for name, m in masters.items()}

    def _learn(self, moving: Weights, batch: tuple[Tensor, ...], take: Take) -> Tensor:
        """Hand over every weight's gradient in its shape; give losses (n_trials,)."""
        weights = self._working(moving)
        if self.taught is not None:
            self.model.count(1)
            return self.taught.teach(weights, self.batches.columns, batch, take)
        gradients, losses = self._stacked_gradients(weights, batch)
        for name, gradient in gradients.items():
            take(name, gradient)
        return losses

    def _stacked_gradients(
        self, weights: Weights, batch: tuple[Tensor, ...]
    ) -> tuple[Weights, Tensor]:
        """Take gradients through the library's modules."""

        def loss(moving: Weights, *one: Tensor) -> Tensor:
            return self._loss(moving, self.batches.columns, *one)

        if len(batch[0]) == 1:
            found, value = grad_and_value(loss)(weights, *(t[0] for t in batch))
            return found, value[None]
        with sdpa_kernel(SDPBackend.MATH):  # the one that has a rule for stacking
            gradients, losses = vmap(grad_and_value(loss))(weights, *batch)
        return gradients, losses

    def _loss(
        self,
        weights: Mapping[str, Tensor],
        columns: Tensor,
        ids: Tensor,
        reads: Tensor,
        targets: Tensor,
        shares: Tensor,
        hidden: Tensor | None = None,
    ) -> Tensor:
        """Average over examples the mean cross-entropy of label tokens, in nats."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.model.tuned(weights))
            if self.replay is not None and hidden is not None:
                stack.enter_context(self.replay.beginning_with(hidden))
            logits = self.model.logits(ids, columns)
        rows = torch.arange(len(ids), device=ids.device)[:, None]
        log_probs = torch.log_softmax(logits[rows, reads], dim=-1)
        picked = log_probs.gather(-1, targets[..., None])[..., 0]
        return -(picked * shares).sum() / len(ids)


def _parts_of(size: int, trials: Sequence[Trial]) -> Iterator[Sequence[Trial]]:
    for start in range(0, len(trials), size):
        yield trials[start : start + size]


def _at(weights: Mapping[str, Tensor], trial: int) -> Weights:
    return {name: stacked[trial] for name, stacked in weights.items()}


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)
