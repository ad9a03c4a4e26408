"""The store: observations by content key, one safetensors file each.

Writes are atomic (temporary file, then replace) and each key is measured by one process
at a time (a file lock). An entry that cannot be read back whole is set aside and
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

from probes.engine.observation_file import DamagedEntryError, decode, encode
from probes.errors import StoreError
from probes.observations.observation import Observation

KEY = re.compile("[0-9a-f]{32}")


class StoreWarning(UserWarning):
    """An entry cannot be read, or an observation cannot be kept."""


class Store:
    """A folder of observations.

    Args:
        folder: Made if it is not there.

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
            StoreError: It is no content key, and might name a file elsewhere.
        """
        if not KEY.fullmatch(key):
            raise StoreError(
                f"{key!r} is no key of a store. Expected the 32 hexadecimal digits of "
                f"a request's content. Take the key from a row or a listing."
            )
        return self.folder / key[:2] / f"{key}.safetensors"

    def __contains__(self, key: str) -> bool:
        return os.path.exists(self.path(key))  # False where nobody can tell

    def facts(self, key: str) -> dict[str, Any]:
        """Read what is told of a stored observation; nothing where nobody can tell.

        Reads the entry's header alone.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(self.path(key)), framework="numpy") as file:
                described = json.loads((file.metadata() or {})["probes"])
            return dict(described["facts"])
        except (SafetensorError, OSError, KeyError, ValueError, TypeError):
            return {}

    @contextlib.contextmanager
    def only_one(self, key: str) -> Iterator[None]:
        """Hold the key: another process that wants it waits."""
        path = self.path(key)
        lock = FileLock(path.with_suffix(".lock"))
        try:
            path.parent.mkdir(exist_ok=True)
            lock.acquire()
        except (OSError, NotImplementedError) as error:
            told = getattr(error, "strerror", None) or error
            raise StoreError(
                f"The store {self.folder} cannot hold a lock: "
                f"{told}. Expected room and permission to write. "
                f"Free space or pass --store FOLDER."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def get(self, key: str) -> Observation | None:
        """Read an observation; None when there is none, or none that is whole.

        What is not whole is set aside. What cannot be read just now (no permission, an
        unreachable disk) stays where it is: it may be whole.
        """
        path = self.path(key)
        try:
            found = decode(path.read_bytes(), key)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            tell(
                f"The stored observation {key} cannot be reached "
                f"({error.strerror or error}); it stays and is measured again."
            )
            return None
        except DamagedEntryError as error:
            self._set_aside(path, error)
            return None
        with contextlib.suppress(OSError):  # a store that is only read is not pruned
            os.utime(path)
        return found

    def _set_aside(self, path: Path, error: DamagedEntryError) -> None:
        aside = path.with_suffix(".damaged")
        try:
            path.replace(aside)
            told = f"it was set aside as {aside.name}"
        except OSError as refused:
            told = f"it cannot be set aside ({refused.strerror or refused})"
        tell(
            f"The stored observation {path.stem} cannot be read ({error}); {told} and "
            f"is measured again."
        )

    def put(self, observation: Observation) -> None:
        """Write an observation, all or nothing.

        Raises:
            StoreError: The disk is full or the folder cannot be written.
        """
        data, path = encode(observation), self.path(observation.key)
        try:
            try:
                _write(data, path)
            except FileNotFoundError:  # swept as abandoned, where a clock jumped
                _write(data, path)
        except OSError as error:
            raise StoreError(
                f"The store {self.folder} cannot keep {len(data)} bytes: "
                f"{error.strerror or error}. Expected room and permission to write. "
                f"Free space or pass --store FOLDER; what was stored before is safe."
            ) from error


def tell(text: str) -> None:
    """Warn of the store in one line; never an error, whatever the filters say."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", StoreWarning)
        warnings.warn(text, StoreWarning, stacklevel=3)


def _write(data: bytes, path: Path) -> None:
    """Write beside the place, then put in place: nobody ever reads a half."""
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
