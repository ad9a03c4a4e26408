"""The store of a run: where it cannot be written, the run says so and goes on.

What is measured then stays in the memory of its process, and the next run measures it
again. Elsewhere, as in ``probes store``, a store that fails is an error.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from probes.engine.store import Store, tell
from probes.errors import StoreError
from probes.observations.observation import Observation


class RunStore(Store):
    """A store that never stops a run.

    Args:
        folder: Made if it is not there and can be made.

    Attributes:
        fault: Why something could not be kept; None while everything was.
        unsaved: Keys of observations that were measured and not kept.
    """

    def __init__(self, folder: Path) -> None:
        self.fault: StoreError | None = None
        self.unsaved: set[str] = set()
        try:
            super().__init__(folder)
        except StoreError as error:
            self._note(error)

    @contextlib.contextmanager
    def only_one(self, key: str) -> Iterator[None]:
        """Hold the key, or measure without holding it where locks cannot be made."""
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(super().only_one(key))
            except StoreError as error:
                self._note(error)
            yield

    def put(self, observation: Observation) -> None:
        """Write an observation, all or nothing, where it can be written."""
        try:
            super().put(observation)
            self.unsaved.discard(observation.key)
        except StoreError as error:
            self.unsaved.add(observation.key)
            self._note(error)

    def _note(self, error: StoreError) -> None:
        if self.fault is None:
            tell(
                f"{error} The run goes on; what it cannot keep stays in memory and is "
                f"measured again by the next."
            )
        self.fault = error
