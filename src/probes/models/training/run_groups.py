"""Which training runs are trained at once: stacked, in threads, or one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from probes.models.runtime.memory import bytes_to_train, require_free_memory
from probes.models.runtime.oom_halving import with_oom_backoff
from probes.models.runtime.thread_pool import run_in_threads
from probes.models.training.training_loop import TrainingLoop
from probes.models.training.training_runs import TrainingRun

Result = TypeVar("Result")
Runs = Sequence[TrainingRun]


@dataclass(frozen=True, kw_only=True)
class RunGroups:
    """Cuts runs into groups, and trains a group as fast as memory allows.

    Attributes:
        loop: Trains one stack.
    """

    loop: TrainingLoop

    def groups(self, runs: Runs) -> Iterator[Runs]:
        """Cut runs into groups that are trained at once, stacked or in threads."""
        n = self.loop.backend.n_threads
        return self.stacks(runs) if n == 1 else _chunks(n, runs)

    def stacks(self, runs: Runs) -> Iterator[Runs]:
        """Cut runs into stacks, whose weights move together."""
        batches = self.loop.batches
        size = self.loop.settings.batch_size or batches.n_examples
        n_tokens = size * batches.n_tokens
        return _chunks(max(1, self.loop.backend.stack_size(n_tokens)), runs)

    def map(self, train: Callable[[Runs], Result], group: Runs) -> list[Result]:
        """Train a group: in threads, or in stacks as large as memory allows.

        Args:
            train: Trains one stack. It may be called again with fewer runs.
            group: One of :meth:`groups`.

        Returns:
            The results of the group's parts, in order.

        Raises:
            ModelError: Memory runs out with a single run.
        """
        n = self.loop.backend.n_threads
        self.require_memory(len(group) if n == 1 else min(n, len(group)))
        if n > 1:
            return run_in_threads(train, [[run] for run in group], n=n)
        parts = with_oom_backoff(group, train, what="one training run")
        return [result for _, result in parts]

    def require_memory(self, n_runs: int) -> None:
        """Refuse to start more runs at once than fit in memory.

        Raises:
            ModelError: They do not fit.
        """
        settings, start = self.loop.settings, self.loop.parametrization.start
        require_free_memory(
            bytes_to_train(
                start,
                n_runs=n_runs,
                optimizer=settings.optimizer,
                gradients=self.loop.backend.gradients_held,
            ),
            self.loop.batches.ids.device,
            what=f"Training {settings.weights} by {settings.optimizer} "
            f"({n_runs} at once)",
            fix="Train fewer weights, such as weights='W_V@middle' or "
            "weights='lora@middle', or pass a narrower --dtype.",
        )


def _chunks(size: int, runs: Runs) -> Iterator[Runs]:
    for start in range(0, len(runs), size):
        yield runs[start : start + size]
