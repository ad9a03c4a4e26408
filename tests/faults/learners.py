"""Learners that take a known time, note every attempt, and fail when asked to."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np

from probes.learners import InContext
from probes.observations.observation import Observation
from tests.faults.control import claim_once, note, read

SIZE = 96  # of the matrix that is multiplied: about 40 µs a turn on one core


@dataclass(frozen=True, kw_only=True)
class Laboured:
    """Answer a regression task by the teacher and a little noise, after some labour.

    Attributes:
        salt: Makes another observation of the same cell.
        turns: Matrix products before it answers.
    """

    salt: str
    turns: int
    needs_model: bool = True

    def observe(self, context: Any) -> Observation:
        """Labour, then answer; numbers depend on the request alone."""
        key = context.request.key
        note(key, "begin")
        _stumble()
        task = context.request.regression_task()
        rng = np.random.default_rng(int(key[:8], 16))
        state = rng.normal(size=(SIZE, SIZE)) / SIZE
        for _ in range(self.turns):
            state = np.tanh(state @ state.T + 0.01)
        noise = rng.normal(size=task.answers.shape) * 1e-3 + 1e-9 * state[0, 0]
        predictions = task.answers + noise
        note(key, "end")
        return Observation(
            arrays={"predictions": predictions, "answers": task.answers},
            facts={"salt": self.salt},
        )


def _stumble() -> None:
    """Hang, if a hang is ordered and nobody has hung so yet."""
    for way in read().get("hang", ()):
        if claim_once(f"hang-{way}"):
            if way == "softly":
                time.sleep(3600)
            sum(range(10**13))  # does not come back to Python for hours


@dataclass(frozen=True, kw_only=True)
class Cramped:
    """Answer in context on a device whose memory holds few prompts at a time."""

    needs_model: bool = True

    def observe(self, context: Any) -> Observation:
        """Answer as InContext does; batches above the ordered size do not fit."""
        import torch

        from probes.models.llama import inference

        room, answer = read().get("room"), inference._answer
        note(context.request.key, "begin")

        def cramped(llama: Any, trees: Any, *others: Any) -> Any:
            if room is not None and sum(len(t.suffixes) for t in trees) > room:
                note(context.request.key, "full")
                raise torch.OutOfMemoryError("CUDA out of memory (ordered).")
            return answer(llama, trees, *others)

        with mock.patch.object(inference, "_answer", cramped):
            found = InContext().observe(context)
        note(context.request.key, "end")
        return found
