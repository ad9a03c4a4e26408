"""The store of a run: if it cannot be written, the run says so and continues.

What is measured then stays in the memory of its process, and the next run measures it
again. Elsewhere, as in ``probes store``, a store that fails is an error.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from probes.engine.store import Store, warn_of_store
from probes.errors import StoreError
from probes.observations.observation import Observation


class RunStore(Store):
    """A store that never stops a run.

    Args:
        folder: Made if it does not exist and can be made.

    Attributes:
        fault: Why something was not stored; None if everything was.
        unsaved: Keys of observations that were measured and not stored.
    """

    def __init__(self, folder: Path) -> None:
        self.fault: StoreError | None = None
        self.unsaved: set[str] = set()
        try:
            super().__init__(folder)
        except StoreError as error:
            self._note(error)

    @contextlib.contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """Lock a key; continue without a lock if none can be made."""
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(super().locked(key))
            except StoreError as error:
                self._note(error)
            yield

    def put(self, observation: Observation) -> None:
        """Write an observation completely or not at all; note it if that fails."""
        try:
            super().put(observation)
            self.unsaved.discard(observation.key)
        except StoreError as error:
            self.unsaved.add(observation.key)
            self._note(error)

    def _note(self, error: StoreError) -> None:
        if self.fault is None:
            warn_of_store(
                f"{error} The run continues. What it cannot store stays in memory, and "
                f"the next run measures it again."
            )
        self.fault = error
