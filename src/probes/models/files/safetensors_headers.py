"""Check and count a folder's weights from file headers, without reading a tensor.

Imports no torch: ``--list-models`` counts parameters with it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from probes.bounded_io import (
    UnreadableError,
    parse_json,
    read_text,
    require_inside,
    require_name,
)
from probes.errors import ModelError
from probes.models.files.fingerprint import file_hash
from probes.models.files.untrusted_config import (
    read_json_object,
    require_harmless,
    require_in_folder,
)

SUMS = "SHA256SUMS"
INDEX = "model.safetensors.index.json"
LARGEST_TEXT = 64_000_000
"""Bytes of an index or a list of sums; the largest published index has 10 MB."""
LONGEST_HEADER = 100_000_000
"""Bytes; the limit that the safetensors library sets too."""
FLOATING = ("F64", "F32", "F16", "BF16")  # masks among the tensors are no parameters

Header = dict[str, Any]


def require_loadable(folder: Path, *, needs_weights: bool) -> None:
    """Refuse a folder that cannot be loaded safely and completely.

    Args:
        folder: A Hugging Face model's folder.
        needs_weights: Whether its weights will be read, or only its configuration.

    Raises:
        ModelError: It asks for its own code; its weights are missing, cut short or not
            in safetensors; or a file differs from the one that was shipped.
    """
    require_harmless(folder)
    if needs_weights:
        _require_safetensors(folder)
        for path in weight_files(folder):
            require_in_folder(path, folder)
            read_header(path)
    require_checksums(folder)


def weight_files(folder: Path) -> list[Path]:
    """List the files that hold the weights.

    Raises:
        ModelError: The index of the shards is unreadable, or names missing files.
    """
    if not (folder / INDEX).is_file():
        whole = folder / "model.safetensors"
        paths = [whole] if whole.is_file() else sorted(folder.glob("*.safetensors"))
        return [path for path in paths if path.is_file()]  # a pipe would never end
    names = _indexed(folder)
    missing = [name for name in names if not os.path.isfile(folder / name)]
    if missing or not names:
        raise ModelError(
            f"{folder} lacks {len(missing)} of the {len(names)} files that its {INDEX} "
            f"names{', among them ' + missing[0] if missing else ''}. Expected every "
            f"shard. Fetch the missing files, or save the model again."
        )
    return [folder / name for name in names]


def _indexed(folder: Path) -> list[str]:
    """Read the names of the shards, which must be files of the folder itself."""
    shards = read_json_object(folder / INDEX).get("weight_map", {})
    try:
        if not isinstance(shards, dict):
            raise UnreadableError("its weight_map is not an object")
        names = sorted({require_name(name) for name in shards.values()})
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{folder / INDEX} cannot be used: {error}. Expected the names of files in "
            f"this folder. Fetch the model again, or save it again."
        ) from error
    return names


def read_header(path: Path) -> Header:
    """Read the names, types, shapes and offsets of a safetensors file's tensors.

    Raises:
        ModelError: The file is not in safetensors, or its length is not what its header
            says.
    """
    held = path.stat().st_size
    with path.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        text = handle.read(length) if length < min(held, LONGEST_HEADER) else b""
    try:
        header = parse_json(text.decode("utf-8"), most_values=LONGEST_HEADER)
        tensors = {k: v for k, v in header.items() if k != "__metadata__"}
        ends = [int(tensor["data_offsets"][1]) for tensor in tensors.values()]
        _ = {t["dtype"]: sum(t["shape"]) for t in tensors.values()}  # raises if absent
    except (ValueError, AttributeError, KeyError, IndexError, TypeError) as error:
        raise ModelError(
            f"{path} is no safetensors file: its header of {length} bytes, in a file "
            f"of {held}, cannot be read. Expected a length, a JSON header and tensors. "
            f"Fetch the file again, or save the model again."
        ) from error
    wanted = 8 + length + max(ends, default=0)
    if held != wanted:
        raise ModelError(
            f"{path} holds {held} bytes. Expected {wanted}, as its header says: the "
            f"file was cut short or overwritten. Fetch it again, or save the model "
            f"again."
        )
    return tensors


def count_parameters(folder: Path) -> int:
    """Count the numbers in a folder's weights, from the headers of its files.

    Raises:
        ModelError: A file is unreadable.
    """
    headers = (read_header(path) for path in weight_files(folder))
    return sum(
        math.prod(tensor["shape"])
        for header in headers
        for tensor in header.values()
        if tensor["dtype"] in FLOATING
    )


def require_checksums(folder: Path) -> None:
    """Verify every file that the folder's ``SHA256SUMS`` names, if it has one.

    The lines are those of ``sha256sum``; names are relative to the folder.

    Raises:
        ModelError: A file differs from the one that was shipped.
    """
    for name, wanted in _checksums(folder):
        path = folder / name
        if not os.path.isfile(path):  # Path.is_file raises if a name is too long
            raise ModelError(
                f"{folder} lacks {name}, which its {SUMS} names. Expected every file "
                f"that was shipped. Restore it, or delete {SUMS} if you changed the "
                f"model on purpose."
            )
        status = path.stat()
        digest = file_hash(path, status.st_size, status.st_mtime_ns)
        if digest != wanted:
            raise ModelError(
                f"{path} has the SHA-256 {digest[:12]}…. Expected {wanted[:12]}…, as "
                f"its {SUMS} says: the file is not the one that was shipped. Restore "
                f"it, or delete {SUMS} if you changed the model on purpose."
            )


def _checksums(folder: Path) -> Iterator[tuple[str, str]]:
    sums = folder / SUMS
    for line in _lines_of(sums) if sums.exists() else ():
        wanted, _, name = line.partition(" ")
        name = name.lstrip(" *")
        if len(wanted) != 64 or not _is_inside(folder, name):
            raise ModelError(
                f"{sums} has the line {line[:80]!r}. Expected 64 hexadecimal digits, "
                f"two spaces and the name of a file in this folder. Write it again "
                f"with sha256sum."
            )
        yield name, wanted


def _lines_of(path: Path) -> list[str]:
    try:
        return read_text(path, limit=LARGEST_TEXT).splitlines()
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} cannot be read: {error}. Expected the output of sha256sum. "
            f"Write it again, or delete it."
        ) from error


def _is_inside(folder: Path, name: str) -> bool:
    try:
        require_inside(folder / name, folder)
    except (OSError, ValueError):
        return False
    return bool(name.strip())


def _require_safetensors(folder: Path) -> None:
    if (folder / INDEX).is_file() or list(folder.glob("*.safetensors")):
        return
    pickles = [p.name for p in (*folder.glob("*.bin"), *folder.glob("*.pt*"))]
    held = f" (it holds {pickles[0]}, a pickle, which can run code)" if pickles else ""
    raise ModelError(
        f"{folder} has no *.safetensors{held}. Expected safetensors weights. Convert "
        f"them with save_pretrained; or pass untrained:{folder} to judge its "
        f"architecture with random weights."
    )
