"""GD stopped where it has come as far as ICL: at equal accuracy, loss or change.

Rate and pass are those of GD's trajectory that come nearest to ICL on calibration
queries. Where none comes near enough, the learner answers at the nearest all the same,
and its choice says that it is no match.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from probes.data.tokenization import verbalize
from probes.errors import NumericsError
from probes.learners.gradient import SELECTION_SETS, GradientLearner, training_seed
from probes.learners.in_context import Base, InContext, ask_set
from probes.measurement import Array
from probes.observations import truncation
from probes.observations.common_support import common
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.models.training.trainer import Trainer
    from probes.models.training.training_runs import TrainingRun
    from probes.observations.request import Learner, LearnerContext

Quantity = Literal["accuracy", "loss", "change"]
QUANTITIES = get_args(Quantity)
NOWHERE = -1.0  # below every accuracy, loss and change
ROUNDING = 1e-12  # counts of right answers are equal exactly but for their division
NEAR = 0.1
"""Share of the way from the base model to ICL that a match may be off: the share that
claims of likeness leave open."""


@dataclass(frozen=True, kw_only=True)
class Matched(GradientLearner):
    """Train until a quantity on calibration queries is ICL's.

    Attributes:
        at: What is equal: "accuracy" among the labels; "loss", the right label's
            cross-entropy over the whole vocabulary; or "change", the total variation
            between the answer and the base model's.
    """

    at: Quantity

    @property
    def choice(self) -> Learner:
        """Who chooses rate and passes, on calibration queries."""
        own = {f.name: getattr(self, f.name) for f in fields(GradientLearner)}
        return Match(of=GradientLearner(**own), at=self.at)


@dataclass(frozen=True, kw_only=True)
class Match:
    """Choose the rate and pass at which a quantity comes nearest to ICL's.

    Of equally near ones, that of the least loss. The observation has ``gaps`` (n_sets
    used, 1), the learner's quantity − ICL's; ``facts`` say whether it is a match.
    """

    of: GradientLearner
    at: Quantity
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Compare every point of the trajectory with ICL.

        Raises:
            NumericsError: No rate gives finite answers.
        """
        path, base = context.observe(Trajectory(of=self.of)), context.observe(Base())
        column = QUANTITIES.index(self.at)
        icl, alone = (
            standings(context.observe(InContext()), base),
            standings(base, base),
        )
        wanted, start = (s[:SELECTION_SETS, column] for s in (icl, alone))
        values = path["points"][..., column]  # (n_sets, n_rates, n_passes)
        gaps = values - wanted[:, None, None]
        r, p = _nearest(gaps, path["points"][..., QUANTITIES.index("loss")])
        off = abs(float(gaps[:, r, p].mean()))
        if self.at == "change":
            off += _hidden(context.observe(InContext()), base)
        tolerance = NEAR * abs(float(wanted.mean() - start.mean()))
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
class Trajectory:
    """Read how far GD has come on the queries, at every rate and after many passes.

    The observation has ``points`` (n_sets used, n_rates, n_passes, n_quantities), the
    quantities being those of ``QUANTITIES``; a point that is no number is ``NOWHERE``.
    """

    of: GradientLearner
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Train the first sets at every rate, and ask their queries on the way.

        Raises:
            DataError: A prompt is too long or the labels collide.
        """
        from probes.models.training.label_batches import encode_lessons
        from probes.models.training.trainer import trainer_for
        from probes.models.training.training_runs import TrainingRun

        task, model, base = context.text_task(), context.model, context.observe(Base())
        labels = verbalize(model.tokenizer, task)
        shown = task.demonstrations[:SELECTION_SETS]
        lessons = encode_lessons(model, task, labels, shown)
        training = trainer_for(model, self.of.training, lessons)
        trials = [
            TrainingRun(index=index, rate=rate, seed=training_seed(context, index))
            for index in range(len(shown))
            for rate in self.of.rates
        ]
        reads = half_octaves(max(self.of.passes))

        def ask(trial: TrainingRun, weights: Mapping[str, Any]) -> Array:
            with model.tuned(weights):
                answered = ask_set(model, task, labels, task.queries[trial.index])
            alone = base.of_set(trial.index)
            parts = truncation.kept(answered[None], labels.first_tokens)  # as base is
            ours = Observation(
                arrays={**parts, "gold": alone.gold},
                facts={**base.facts, "n_vocab": answered.shape[-1]},
            )
            return np.asarray(standings(ours, alone)[0])

        walks = [
            _walk(training, stack, reads, ask) for stack in training.stacks(trials)
        ]
        shape = (len(shown), len(self.of.rates), len(reads), len(QUANTITIES))
        points = np.concatenate(walks).reshape(shape)
        return Observation(arrays={"points": points}, facts={"passes": reads})


def half_octaves(most: int) -> list[int]:
    """List 1, 2, 3, 4, 6, 8, 11, 16, …, the powers of √2 up to a number, and it."""
    powers = {round(2 ** (k / 2)) for k in range(2 * most.bit_length())}
    return sorted({n for n in powers if n < most} | {most})


def standings(learned: Observation, base: Observation) -> Array:
    """Measure the quantities of each set, the mean over its queries.

    Args:
        learned: Answers of any learner.
        base: Those of the base model to the same queries.

    Returns:
        Shape (n_sets, n_quantities), in the order of ``QUANTITIES``.
    """
    right = learned.label_log_probs.argmax(axis=-1) == learned.gold
    gold = learned.gold[..., None]
    losses = -np.take_along_axis(learned.answer_log_probs, gold, axis=-1)[..., 0]
    ours, theirs = map(np.exp, common(learned, base).log_probs)
    change = np.abs(ours - theirs).sum(-1) / 2
    quantities = (right.astype(np.float64), losses, change)
    return np.stack([values.mean(axis=1) for values in quantities], axis=1)


def _hidden(icl: Observation, base: Observation) -> float:
    """Bound how far two changes, ICL's and GD's, may be off as they are measured.

    Of answers kept in part a total variation is known up to the larger of the two
    rests. GD's rest is not at hand; what is kept leaves it this much at the most.
    """
    if not truncation.is_large(base.n_vocab):
        return 0.0
    ours, alone = common(icl, base).rests
    of_both = np.maximum(ours, alone) + alone
    return float(of_both[:SELECTION_SETS].mean()) + truncation.MOST_REST


def _walk(
    training: Trainer,
    stack: Sequence[TrainingRun],
    reads: list[int],
    ask: Callable[[TrainingRun, Mapping[str, Any]], Array],
) -> Array:
    """Train a stack once, asking on the way: (n_trials, n_reads, n_quantities)."""
    found = np.full((len(stack), len(reads), len(QUANTITIES)), NOWHERE)

    def read(done: int, weights: Mapping[str, Any]) -> None:
        if done in reads:
            for place, trial in enumerate(stack):
                own = {name: stacked[place] for name, stacked in weights.items()}
                with contextlib.suppress(NumericsError):  # diverged: no candidate
                    found[place, reads.index(done)] = ask(trial, own)

    training.run(stack, reads[-1], after_pass=read)
    return found


def _nearest(gaps: Array, losses: Array) -> tuple[int, int]:
    """Find the rate and pass of the least mean gap, of equals that of the least loss.

    Raises:
        NumericsError: No rate gives finite answers.
    """
    is_candidate = (losses > NOWHERE).all(axis=0)
    if not is_candidate.any():
        raise NumericsError(
            "No learning rate gives finite answers on calibration queries. Expected "
            "one that does not diverge. Lower rates=."
        )
    off = np.where(is_candidate, np.abs(gaps.mean(axis=0)), np.inf)
    level = np.where(off <= off.min() + ROUNDING, losses.mean(axis=0), np.inf)
    r, p = divmod(int(level.argmin()), level.shape[1])
    return r, p
