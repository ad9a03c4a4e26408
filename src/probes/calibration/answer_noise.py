"""A learner whose answers are those of another, with noise added.

The noise is a part of the learner: it is the same in every order of the demonstrations
and in every repeat. It is new for other demonstrations, labels, words and queries.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.hashing import seed_of
from probes.learners import Activations, Base
from probes.measurement import Array
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.observations.request import LearnerContext, Request


@dataclass(frozen=True, kw_only=True)
class WithNoise:
    """Answer as another learner does, with Gaussian noise.

    Attributes:
        of: The other learner, or ``Activations`` of it.
        size: Standard deviation of the noise, at least 0. On text it is a share of what
            learning has changed: of the root mean square of the answer's difference
            from that of the untouched model. On regression it is a share of the
            answers' size, and for sensitivities of their own.
    """

    of: Any
    size: float
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Ask the other learner, and add noise to what it answers.

        Raises:
            ShapeError: The answers over the vocabulary are truncated.
        """
        learned = context.observe(self.of)
        rng = np.random.default_rng(_seed(context.request))
        arrays: dict[str, NDArray[Any]]
        if isinstance(self.of, Activations):
            start = context.observe(Activations(of=Base()))
            arrays = {**self._in_activations(learned, start, rng)}
        elif context.request.model.answers_text:
            arrays = {**self._in_words(learned, context.observe(Base()), rng)}
        else:
            units = {"predictions": "answers", "sensitivities": "sensitivities"}
            arrays = {
                name: self._noisy(learned[name], _root_mean_square(learned[unit]), rng)
                for name, unit in units.items()
            }
        return replace(learned, arrays={**learned.arrays, **arrays})

    def _noisy(self, array: Array, scale: Any, rng: np.random.Generator) -> Array:
        return np.asarray(array + self.size * scale * rng.standard_normal(array.shape))

    def _in_words(
        self, learned: Observation, start: Observation, rng: np.random.Generator
    ) -> dict[str, NDArray[np.float32]]:
        """Move log-probabilities, and let probabilities sum to 1 again."""
        change = _root_mean_square(learned.log_probs - start.log_probs, axis=-1)
        moved = self._noisy(learned.log_probs, change, rng)
        moved -= np.logaddexp.reduce(moved, axis=-1, keepdims=True)
        return {"log_probs": moved.astype(np.float32)}

    def _in_activations(
        self, learned: Observation, start: Observation, rng: np.random.Generator
    ) -> dict[str, NDArray[np.float32]]:
        """Move what ``Activations`` records; the scores follow their demonstrations."""
        found: dict[str, NDArray[np.float32]] = {}
        for name in ("outputs", "maps"):
            change = _root_mean_square(learned[name] - start[name], axis=-1)
            moved = self._noisy(learned[name], change, rng)
            is_padding = (learned[name] == 0) & (start[name] == 0)
            found[name] = np.where(is_padding, 0, moved).astype(np.float32)
        scores, owners = learned["demonstration_scores"], learned["owners"]
        spread = scores - scores.mean(axis=-1, keepdims=True)
        drawn = rng.standard_normal((*scores.shape[:3], owners.max() + 1))
        of_tokens = np.take_along_axis(
            drawn, np.maximum(owners, 0)[:, None, None, :], axis=-1
        )
        noise = self.size * _root_mean_square(spread, axis=-1) * of_tokens
        moved = scores + np.where(owners < 0, 0, 1)[:, None, None, :] * noise
        found["demonstration_scores"] = moved.astype(np.float32)
        return found


def _root_mean_square(array: Array, axis: int | None = None) -> Any:
    return np.sqrt(np.mean(np.square(array), axis=axis, keepdims=axis is not None))


def _seed(request: Request) -> int:
    return seed_of(
        "answer noise",
        request.settings.seed,
        request.n_demonstrations,
        request.draw,
        request.labels,
        request.wording,
        request.queries,
        request.shown,
    )
