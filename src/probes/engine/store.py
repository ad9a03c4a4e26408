"""The store: one safetensors file for each observation, named by its content key.

Writes are atomic: a temporary file replaces the old one. A file lock lets only one
process measure a key at a time. A damaged file is set aside, and its observation is
measured again.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

from probes.engine.observation_file import (
    DamagedObservationError,
    decode_observation,
    encode_observation,
)
from probes.errors import StoreError
from probes.observations.observation import Observation

KEY = re.compile("[0-9a-f]{32}")


class StoreWarning(UserWarning):
    """An observation cannot be read or stored."""


class Store:
    """A folder of observations.

    Args:
        folder: Made if it does not exist.

    Raises:
        StoreError: The folder cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f".writable-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise StoreError(
                f"The store {folder} cannot be written: {error.strerror or error}. "
                f"Expected a folder of yours with room. Pass --store FOLDER."
            ) from error

    def path(self, key: str) -> Path:
        """Return the file of a key.

        Raises:
            StoreError: The text is not a content key, and might name a file elsewhere.
        """
        if not KEY.fullmatch(key):
            raise StoreError(
                f"{key!r} is not a key of a store. Expected the 32 hexadecimal digits "
                f"of a request's content. Take the key from a row or a listing."
            )
        return self.folder / key[:2] / f"{key}.safetensors"

    def __contains__(self, key: str) -> bool:
        return os.path.exists(self.path(key))  # False if it cannot be read

    def facts(self, key: str) -> dict[str, Any]:
        """Read the facts of a stored observation from the header of its file.

        Returns:
            The facts; empty if there is no such file or it cannot be read.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(self.path(key)), framework="numpy") as file:
                described = json.loads((file.metadata() or {})["probes"])
            return dict(described["facts"])
        except (SafetensorError, OSError, KeyError, ValueError, TypeError):
            return {}

    @contextlib.contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """Lock a key: another process that wants it waits."""
        path = self.path(key)
        lock = FileLock(path.with_suffix(".lock"))
        try:
            path.parent.mkdir(exist_ok=True)
            lock.acquire()
        except (OSError, NotImplementedError) as error:
            why = getattr(error, "strerror", None) or error
            raise StoreError(
                f"The store {self.folder} cannot hold a lock: "
                f"{why}. Expected room and permission to write. "
                f"Free space or pass --store FOLDER."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def get(self, key: str) -> Observation | None:
        """Read an observation; None if there is none or it is damaged.

        A damaged file is set aside. A file that cannot be reached just now (no
        permission, an unreachable disk) stays where it is, since it may be whole.
        """
        path = self.path(key)
        try:
            observation = decode_observation(path.read_bytes(), key)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            warn_of_store(
                f"The stored observation {key} cannot be reached "
                f"({error.strerror or error}). It stays, and is measured again."
            )
            return None
        except DamagedObservationError as error:
            self._set_aside(path, error)
            return None
        with contextlib.suppress(OSError):  # a read-only store is not pruned
            os.utime(path)
        return observation

    def _set_aside(self, path: Path, error: DamagedObservationError) -> None:
        aside = path.with_suffix(".damaged")
        try:
            path.replace(aside)
            fate = f"it was set aside as {aside.name}"
        except OSError as refused:
            fate = f"it cannot be set aside ({refused.strerror or refused})"
        warn_of_store(
            f"The stored observation {path.stem} cannot be read ({error}); {fate} and "
            f"is measured again."
        )

    def put(self, observation: Observation) -> None:
        """Write an observation completely or not at all.

        Raises:
            StoreError: The disk is full or the folder cannot be written.
        """
        data, path = encode_observation(observation), self.path(observation.key)
        try:
            try:
                _write(data, path)
            except FileNotFoundError:  # removed as abandoned after a jump of the clock
                _write(data, path)
        except OSError as error:
            raise StoreError(
                f"The store {self.folder} cannot keep {len(data)} bytes: "
                f"{error.strerror or error}. Expected room and permission to write. "
                f"Free space or pass --store FOLDER; what was stored before is safe."
            ) from error

    def remove(self, key: str) -> None:
        """Remove an observation, if there is one and it can be removed."""
        with contextlib.suppress(OSError):
            self.path(key).unlink()


def warn_of_store(text: str) -> None:
    """Warn about the store in one line; filters never turn it into an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", StoreWarning)
        warnings.warn(text, StoreWarning, stacklevel=3)


def _write(data: bytes, path: Path) -> None:
    """Write a temporary file, then move it into place: no reader sees a half."""
    temporary = path.with_suffix(f".{uuid.uuid4().hex[:12]}.part")
    try:
        path.parent.mkdir(exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
