"""The folder that keeps models converted from GGUF files, one sub-folder for each file.

A sub-folder is named by the content of the GGUF file, so that the same file is
converted once, wherever it lies. Imports no torch.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from probes.errors import ModelError
from probes.models.files.packaged_checkpoint import PackagedCheckpoint

VARIABLE = "PROBES_MODELS"
"""The environment variable that names another folder than the user's cache."""
CONVERSION = 1
"""Counts the changes of the conversion that change what it writes."""


def converted_models() -> Path:
    """Name the folder that keeps converted models; it may not exist yet."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache).absolute() / "probes" / "models"


def converted_folder(sha256: str) -> Path:
    """Name the folder of a converted GGUF file; it may not exist yet.

    Args:
        sha256: Hash of the GGUF file, in hexadecimal digits.
    """
    return converted_models() / f"{sha256[:32]}-{CONVERSION}"


def is_converted(sha256: str) -> bool:
    """Say whether a GGUF file has been converted; a half is never there."""
    return (converted_folder(sha256) / "config.json").is_file()


def fetched_folder(checkpoint: PackagedCheckpoint) -> Path:
    """Return the folder of a fetched model.

    Raises:
        ModelError: It has not been fetched; the message says which command does it.
    """
    if not is_converted(checkpoint.sha256):
        name = checkpoint.location
        raise ModelError(
            f"The model {name} has not been fetched: {converted_models()} does not "
            f"hold it. Expected its weights there, because a run downloads no "
            f"packages. Run: probes models fetch {name}"
        )
    return converted_folder(checkpoint.sha256)


@contextlib.contextmanager
def locked_conversion(sha256: str) -> Iterator[Path]:
    """Lock a GGUF file's place, so that one process at a time fills it.

    Yields:
        A folder for what is not finished, which the processes share one after another.

    Raises:
        ModelError: The folder of converted models cannot be written.
    """
    from filelock import FileLock

    folder = converted_folder(sha256)
    with explained_disk_errors(f"The lock of {folder.name}"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_suffix(".lock"))
        lock.acquire()
    try:
        yield folder.with_suffix(".part")
    finally:
        lock.release()


@contextlib.contextmanager
def explained_disk_errors(what: str) -> Iterator[None]:
    """Turn an error of the disk into a message that says how to mend it.

    Args:
        what: What is written, for the message.

    Raises:
        ModelError: The disk is full, or the folder cannot be written.
    """
    try:
        yield
    except (OSError, NotImplementedError) as error:
        why = getattr(error, "strerror", None) or error
        raise ModelError(
            f"{what} cannot be written into {converted_models()}: {why}. Expected room "
            f"and permission to write; nothing half-converted was kept. Free space, or "
            f"set {VARIABLE} to another folder."
        ) from error
