"""List, verify, prune and clean a store.

``store`` reads and writes single observations. Of the functions here, only ``verify``
reads arrays.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from probes.engine.store import KEY, Store
from probes.errors import OptionError

ABANDONED = 3600.0  # seconds: longer than any write, or pause between progress lines
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(frozen=True, kw_only=True)
class StoredObservation:
    """The file of one observation.

    Attributes:
        key: The content key.
        path: The file.
        n_bytes: The file's size.
        used: When it was last written or read, seconds since 1970.
        request: What it answers: learner, model, dataset, demonstrations and view;
            empty if an older version stored it, or if it was not read.
    """

    key: str
    path: Path
    n_bytes: int
    used: float
    request: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StoreFilter:
    """Selects the observations that a listing shows, or that pruning may remove.

    Attributes:
        model: The model's name; None selects every model.
        dataset: The dataset's name, likewise.
        learner: The learner's class, such as GradientLearner, likewise.
    """

    model: str | None = None
    dataset: str | None = None
    learner: str | None = None

    def selects(self, entry: StoredObservation) -> bool:
        """Whether an observation has the names; one without a description has none."""
        learner = str(entry.request.get("learner", "")).split(" ")[0]
        named = (entry.request.get("model"), entry.request.get("dataset"), learner)
        wanted = (self.model, self.dataset, self.learner)
        return all(w in (None, n) for w, n in zip(wanted, named, strict=True))


EVERYTHING = StoreFilter()


def list_described(
    store: Store, only: StoreFilter = EVERYTHING
) -> list[StoredObservation]:
    """List observations with what they answer, read from the headers of their files."""
    described = [
        replace(entry, request=_request_of(store, entry.key))
        for entry in list_observations(store)
    ]
    return [entry for entry in described if only.selects(entry)]


def _request_of(store: Store, key: str) -> dict[str, Any]:
    found = store.facts(key).get("request")
    return dict(found) if isinstance(found, dict) else {}


def list_observations(store: Store) -> list[StoredObservation]:
    """List the observations of a store, the least recently used first."""
    found = []
    for path in store.folder.glob("??/*.safetensors"):
        if not KEY.fullmatch(path.stem):
            continue  # not ours: nothing reads it, so nothing removes it
        with contextlib.suppress(FileNotFoundError):  # pruned meanwhile
            stat = path.stat()
            found.append(
                StoredObservation(
                    key=path.stem, path=path, n_bytes=stat.st_size, used=stat.st_mtime
                )
            )
    return sorted(found, key=lambda entry: (entry.used, entry.key))


def verify(store: Store) -> list[str]:
    """Read every observation back, and set damaged ones aside.

    Returns:
        The keys that were set aside.
    """
    return [
        entry.key for entry in list_observations(store) if store.get(entry.key) is None
    ]


def prune(
    store: Store, limit: int, only: StoreFilter = EVERYTHING
) -> list[StoredObservation]:
    """Remove the least recently used observations until the rest fit.

    Args:
        store: The store.
        limit: Bytes that may stay of the selected observations.
        only: Selects observations; all others stay.

    Returns:
        What was removed. An observation that is being measured stays.
    """
    held = list_observations(store)
    if only != EVERYTHING:
        held = list_described(store, only)
    excess = sum(entry.n_bytes for entry in held) - limit
    removed = []
    for entry in held:
        if excess <= 0:
            break
        if _remove_unless_held(entry.path):
            removed.append(entry)
            excess -= entry.n_bytes
    return removed


def clean(store: Store, *, older_than: float = ABANDONED) -> list[Path]:
    """Remove what killed runs left behind: half-written files, locks, status folders.

    Args:
        store: The store.
        older_than: Seconds without a change after which a file counts as left behind.
            Age decides, because the process may live on another machine.

    Returns:
        What was removed. Damaged files that were set aside stay for inspection.
    """
    before = time.time() - older_than
    halves = _older(store.folder.glob("??/*.part"), before)
    probes = _older(store.folder.glob(".writable-*"), before)
    for path in (*halves, *probes):
        path.unlink(missing_ok=True)
    runs = [f for f in _older(store.folder.glob("run-*"), before) if not f.is_symlink()]
    for folder in runs:
        shutil.rmtree(folder, ignore_errors=True)
    locks = [
        path
        for path in _older(store.folder.glob("??/*.lock"), before)
        if _remove_unless_held(path)
    ]
    return [*halves, *probes, *runs, *locks]


def parse_size(text: str) -> int:
    """Read a size such as ``500M`` or ``2G``, in bytes.

    Raises:
        OptionError: The text is not a size.
    """
    bare = text.strip().upper().removesuffix("B")
    number, unit = (bare[:-1], bare[-1:]) if bare[-1:].isalpha() else (bare, "")
    is_number = number.isascii() and number.isdecimal() and len(number) <= 18
    if unit not in UNITS or not is_number:
        raise OptionError(
            f"{text!r} is not a size. Expected a whole number and a unit, such as 500M "
            f"or 2G; 1K is a thousand bytes. Write the size in this form."
        )
    return int(number) * UNITS[unit]


def _older(paths: Iterable[Path], before: float) -> list[Path]:
    found = []
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            if path.lstat().st_mtime < before:
                found.append(path)
    return sorted(found)


def _remove_unless_held(path: Path) -> bool:
    """Remove a file and lock its key meanwhile; False if another process holds it."""
    lock = FileLock(path.with_suffix(".lock"), timeout=0)
    try:
        with lock:
            path.unlink(missing_ok=True)
    except Timeout:
        return False
    return True
