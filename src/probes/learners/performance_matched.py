"""GD stopped when it has learned as much as ICL: at equal accuracy, loss or change.

The rate and the pass are the point of GD's trajectory that comes nearest to ICL on
calibration queries. If no point comes near enough, the learner answers at the nearest
one all the same, and its choice reports that it is no match.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from probes.errors import NumericsError
from probes.learners.gradient import GradientLearner
from probes.learners.in_context import Base, InContext, ask_set
from probes.learners.training_trials import SELECTION_SETS, training_seed
from probes.measurement import Array
from probes.observations.observation import Observation
from probes.observations.token_sums import ERRORS_WIDE, sum_over_tokens
from probes.observations.truncation import truncated

if TYPE_CHECKING:
    from probes.data.prompt_encoding import EncodedPrompts
    from probes.models.causal_lm.causal_lm import CausalLM
    from probes.models.training.trainer import Trainer
    from probes.models.training.training_runs import TrainingRun
    from probes.observations.request import Learner, LearnerContext

Ask = Callable[["TrainingRun", Mapping[str, Any]], Array]
Quantity = Literal["accuracy", "loss", "change"]
QUANTITIES = get_args(Quantity)
FAILED = -1.0  # below every accuracy, loss and change
ROUNDING = 1e-12  # equal counts of right answers differ only by their division
MATCH_TOLERANCE = 0.1
"""How far a match may be off, as a share of the way from the base model to ICL. Claims
of likeness leave the same share open."""


@dataclass(frozen=True, kw_only=True)
class PerformanceMatched(GradientLearner):
    """Train until a quantity on calibration queries equals ICL's.

    Attributes:
        quantity: "accuracy" among the labels; "loss", the right label's cross-entropy
            over the whole vocabulary; or "change", the total variation between the
            answer and the base model's.
    """

    quantity: Quantity

    @property
    def choice(self) -> Learner:
        """The learner that chooses rate and passes on calibration queries."""
        own = {f.name: getattr(self, f.name) for f in fields(GradientLearner)}
        return MatchedSelection(of=GradientLearner(**own), quantity=self.quantity)


@dataclass(frozen=True, kw_only=True)
class MatchedSelection:
    """Choose the rate and pass at which a quantity comes nearest to ICL's.

    If several points are equally near, the one with the least loss is chosen. The
    observation has ``gaps`` (n_sets used, 1), the learner's quantity − ICL's. Its
    ``facts`` say whether it is a match.
    """

    of: GradientLearner
    quantity: Quantity
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Compare every point of the trajectory with ICL.

        Raises:
            NumericsError: No rate gives finite answers.
        """
        path = context.observe(GradientTrajectory(of=self.of))
        icl, base = context.observe(InContext()), context.observe(Base())
        column = QUANTITIES.index(self.quantity)
        wanted, start = (
            quantities_of(answered, base)[:SELECTION_SETS, column]
            for answered in (icl, base)
        )
        values = path["points"][..., column]  # (n_sets, n_rates, n_passes)
        gaps = values - wanted[:, None, None]
        r, p = _nearest(gaps, path["points"][..., QUANTITIES.index("loss")])
        off = abs(float(gaps[:, r, p].mean()))
        if self.quantity == "change":
            off += _error_of_change(icl, base)
        tolerance = MATCH_TOLERANCE * abs(float(wanted.mean() - start.mean()))
        return Observation(
            arrays={"gaps": gaps[:, r, p, None]},
            facts={
                "rate": self.of.rates[r],
                "passes": path.facts["passes"][p],
                "wanted": float(wanted.mean()),
                "nearest": float(values[:, r, p].mean()),
                "tolerance": tolerance,
                "is_matched": off <= tolerance,
            },
        )


@dataclass(frozen=True, kw_only=True)
class GradientTrajectory:
    """Measure how much GD has learned, at every rate and after many passes.

    The observation has ``points`` (n_sets used, n_rates, n_passes, n_quantities), in
    the order of ``QUANTITIES``. A point at which training has failed is ``FAILED``.
    """

    of: GradientLearner
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Train the first sets at every rate, and ask their queries on the way.

        Raises:
            DataError: A prompt is too long or the labels collide.
        """
        from probes.models.training.training_runs import TrainingRun

        base, prompts = context.observe(Base()), context.prompts()
        demonstrations = prompts.task.demonstrations[:SELECTION_SETS]
        training = self.of.prepare(context, prompts, demonstrations)
        trials = [
            TrainingRun(index=index, rate=rate, seed=training_seed(context, index))
            for index in range(len(demonstrations))
            for rate in self.of.rates
        ]
        passes = half_octaves(max(self.of.passes))
        ask = _asker(context.model, prompts, base)
        paths = [
            _path(training, stack, passes, ask) for stack in training.stacks(trials)
        ]
        shape = (len(demonstrations), len(self.of.rates), len(passes), len(QUANTITIES))
        points = np.concatenate(paths).reshape(shape)
        return Observation(arrays={"points": points}, facts={"passes": passes})


def half_octaves(most: int) -> list[int]:
    """List 1, 2, 3, 4, 6, 8, 11, 16, …, the powers of √2 up to a number, and it."""
    powers = {round(2 ** (k / 2)) for k in range(2 * most.bit_length())}
    return sorted({n for n in powers if n < most} | {most})


def quantities_of(learned: Observation, base: Observation) -> Array:
    """Measure the quantities of each set, the mean over its queries.

    Args:
        learned: Any learner's answers.
        base: The base model's answers to the same queries.

    Returns:
        Shape (n_sets, n_quantities), in the order of ``QUANTITIES``.
    """
    right = learned.label_log_probs.argmax(axis=-1) == learned.gold
    gold = learned.gold[..., None]
    losses = -np.take_along_axis(learned.answer_log_probs, gold, axis=-1)[..., 0]
    change = sum_over_tokens(_halved_changes, learned, base)
    quantities = (right.astype(np.float64), losses, change.values)
    return np.stack([values.mean(axis=1) for values in quantities], axis=1)


def _halved_changes(log_probs: Sequence[Array]) -> Array:
    """Give each token's share of the total variation of two answers."""
    ours, theirs = map(np.exp, log_probs)
    return np.asarray(np.abs(ours - theirs) / 2)


def _error_of_change(icl: Observation, base: Observation) -> float:
    """Bound the error of the difference of two changes, ICL's and GD's.

    The change of a truncated answer is an estimate. The error of GD's is not known
    here, and is taken to be as large as ICL's.
    """
    errors = sum_over_tokens(_halved_changes, icl, base).errors[:SELECTION_SETS]
    return float(ERRORS_WIDE * np.sqrt(2 * (errors**2).sum()) / errors.size)


def _asker(model: CausalLM, prompts: EncodedPrompts, base: Observation) -> Ask:
    """Return a function that measures a trial's quantities under some weights."""

    def ask(trial: TrainingRun, weights: Mapping[str, Any]) -> Array:
        with model.tuned(weights):
            answered = ask_set(model, prompts, prompts.task.queries[trial.index])
        alone = base.of_set(trial.index)
        arrays = truncated(
            answered[None], prompts.labels.first_tokens, first_set=trial.index
        )
        ours = Observation(
            arrays={**arrays, "gold": alone.gold},
            facts={**base.facts, "n_vocab": answered.shape[-1]},
        )
        return np.asarray(quantities_of(ours, alone)[0])

    return ask


def _path(
    training: Trainer, stack: Sequence[TrainingRun], passes: list[int], ask: Ask
) -> Array:
    """Train a stack once, asking on the way: (n_trials, n_passes, n_quantities)."""
    points = np.full((len(stack), len(passes), len(QUANTITIES)), FAILED)

    def read(done: int, weights: Mapping[str, Any]) -> None:
        if done in passes:
            for place, trial in enumerate(stack):
                own = {name: stacked[place] for name, stacked in weights.items()}
                with contextlib.suppress(NumericsError):  # diverged: no candidate
                    points[place, passes.index(done)] = ask(trial, own)

    training.run(stack, passes[-1], after_pass=read)
    return points


def _nearest(gaps: Array, losses: Array) -> tuple[int, int]:
    """Find the rate and pass of the least mean gap; least loss decides between equals.

    Raises:
        NumericsError: No rate gives finite answers.
    """
    is_candidate = (losses > FAILED).all(axis=0)
    if not is_candidate.any():
        raise NumericsError(
            "No learning rate gives finite answers on calibration queries. Expected "
            "one that does not diverge. Lower rates=."
        )
    off = np.where(is_candidate, np.abs(gaps.mean(axis=0)), np.inf)
    level = np.where(off <= off.min() + ROUNDING, losses.mean(axis=0), np.inf)
    r, p = divmod(int(level.argmin()), level.shape[1])
    return r, p
