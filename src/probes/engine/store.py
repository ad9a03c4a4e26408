"""The store: observations by content key, one safetensors file each.

Writes are atomic (temporary file, then replace) and each key is measured by one process
at a time (a file lock). An entry that cannot be read back whole is set aside and
measured again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from probes.errors import StoreError
from probes.observation import Observation

KEY = re.compile("[0-9a-f]{32}")


class StoreWarning(UserWarning):
    """An entry of the store was set aside."""


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
        return self.path(key).exists()

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
        except OSError as error:
            raise StoreError(
                f"The store {self.folder} cannot hold a lock: "
                f"{error.strerror or error}. Expected room and permission to write. "
                f"Free space or pass --store FOLDER."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def get(self, key: str) -> Observation | None:
        """Read an observation; None when there is none, or none that is whole."""
        from safetensors import SafetensorError, safe_open

        path = self.path(key)
        if not path.exists():
            return None
        try:
            with safe_open(str(path), framework="numpy") as file:
                described = json.loads((file.metadata() or {})["probes"])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            facts = described["facts"]
            if (described["key"], described["checksum"]) != (
                key,
                _checksum(arrays, facts),
            ):
                raise ValueError("its checksum or key does not match its content")
        except FileNotFoundError:
            return None  # pruned by another process between the two looks
        except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
            aside = path.with_suffix(".damaged")
            with contextlib.suppress(OSError):
                path.replace(aside)
            with warnings.catch_warnings():
                warnings.simplefilter("always", StoreWarning)  # told, never raised
                warnings.warn(
                    f"The stored observation {key} cannot be read ({error}); it was "
                    f"set aside as {aside.name} and is measured again.",
                    StoreWarning,
                    stacklevel=2,
                )
            return None
        with contextlib.suppress(OSError):  # a store that is only read is not pruned
            os.utime(path)
        return Observation(arrays=arrays, facts=facts, key=key)

    def put(self, observation: Observation) -> None:
        """Write an observation, all or nothing.

        Raises:
            StoreError: The disk is full or the folder cannot be written.
        """
        from safetensors.numpy import save

        arrays = {k: np.ascontiguousarray(v) for k, v in observation.arrays.items()}
        described = {
            "key": observation.key,
            "facts": dict(observation.facts),
            "checksum": _checksum(arrays, dict(observation.facts)),
        }
        data = save(arrays, metadata={"probes": json.dumps(described, allow_nan=False)})
        path = self.path(observation.key)
        temporary = path.with_suffix(f".{os.getpid()}.part")
        try:
            path.parent.mkdir(exist_ok=True)
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise StoreError(
                f"The store {self.folder} cannot keep {len(data)} bytes: "
                f"{error.strerror or error}. Expected room and permission to write. "
                f"Free space or pass --store FOLDER; what was stored before is safe."
            ) from error


def _checksum(arrays: dict[str, Any], facts: dict[str, Any]) -> str:
    told = json.loads(json.dumps(facts))  # as it is read back: tuples become lists
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
