"""Trainings that can be carried on from where they stood."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence

from probes.errors import ModelError
from probes.models.runtime.memory import free_bytes
from probes.models.training.run_groups import Runs
from probes.models.training.trainer import Trainer
from probes.models.training.training_loop import Pass
from probes.models.training.training_runs import ReadWeights, TrainingRun
from probes.models.weights.stacks import bytes_of

SHARE_OF_MEMORY = 0.25
"""The share of the free memory that trainings may hold while others are trained."""


class Walks:
    """Trains runs further and further, a search's rates in turn.

    A training that is put aside keeps its weights, as far as memory allows. Otherwise
    it starts anew when it is taken up again, and comes to the same weights.

    Args:
        trainer: Trains the runs.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self._aside: dict[tuple[TrainingRun, ...], tuple[int, Iterator[Pass]]] = {}
        free = free_bytes(trainer.loop.batches.ids.device)
        self._most_bytes = math.inf if free is None else SHARE_OF_MEMORY * free
        self._making_room = threading.Lock()

    def advance(self, runs: Runs, places: Sequence[int], read: ReadWeights) -> None:
        """Train runs from where they stand to the last of some numbers of passes.

        Args:
            runs: Any number.
            places: The numbers of passes at which the weights are read, ascending.
            read: Reads them. It must not keep them, because training goes on in place.

        Raises:
            ModelError: Memory runs out with a single run.
        """
        for group in self.trainer.groups(runs):
            try:
                self._advance_group(group, places, read)
            except ModelError:
                if not self._aside:
                    raise
                self._aside.clear()  # make room, and train again from the start
                self._advance_group(group, places, read)

    def _advance_group(
        self, group: Runs, places: Sequence[int], read: ReadWeights
    ) -> None:
        self.trainer.run_groups.map(
            lambda stack: self._advance_stack(stack, places, read), group
        )

    def _advance_stack(
        self, stack: Runs, places: Sequence[int], read: ReadWeights
    ) -> None:
        key = tuple(stack)
        with self._making_room:
            done, walk = self._aside.pop(key, (0, None))
        if walk is None or done >= places[0]:
            done, walk = 0, self.trainer.loop.walk(stack)
        for n in range(done + 1, places[-1] + 1):
            one_pass = next(walk)
            if n in places:
                read(stack, n, self.trainer.loop.checked(stack, one_pass))
        self._put_aside(key, places[-1], walk)

    def _put_aside(
        self, key: tuple[TrainingRun, ...], done: int, walk: Iterator[Pass]
    ) -> None:
        each = bytes_of(self.trainer.start)
        each *= 3 if self.trainer.loop.settings.optimizer == "adam" else 1
        with self._making_room:
            self._aside[key] = done, walk
            while sum(map(len, self._aside)) * each > self._most_bytes:
                del self._aside[next(iter(self._aside))]  # the longest aside
