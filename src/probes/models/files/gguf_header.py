"""Read a GGUF file's header within bounds, before any library reads the file.

The library that reads GGUF files follows whatever lengths a header claims, so that a
file that was cut off could keep it busy without end. Imports no torch.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

from probes.bounded_io import UnreadableError, brief
from probes.errors import ModelError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MOST_FIELDS = 100_000
"""Entries of the metadata, or tensors; published files have thousands at most."""
MOST_ELEMENTS = 4_000_000
"""Elements of all arrays together; the largest vocabularies need a million or two. The
library holds each in some hundred bytes."""
LONGEST_TEXT = 1_000_000
LONGEST_TOKEN = 4_000
"""Bytes of a text, such as a chat template; and of a text in an array."""
MOST_DIMENSIONS = 4
TEXT, ARRAY = 8, 9
NUMBERS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
"""The format of each type of number in the metadata, as ``struct`` names it."""


@dataclass(frozen=True, kw_only=True)
class GGUFTensor:
    """Where a tensor lies in a GGUF file.

    Attributes:
        name: Its name in the file.
        kind: How its numbers are stored, such as "Q4_1" or "F32".
        shape: Its shape, rows first.
        start: Where its bytes begin in the file.
        n_bytes: How many there are.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    start: int
    n_bytes: int


@dataclass(frozen=True, kw_only=True)
class GGUFHeader:
    """What a GGUF file says of itself.

    Attributes:
        path: The file.
        metadata: Numbers and texts by name; arrays are left out.
        tensors: Its tensors by name.
    """

    path: Path
    metadata: dict[str, Any]
    tensors: dict[str, GGUFTensor]

    @property
    def architecture(self) -> str:
        """The architecture that the file names; empty if it names none."""
        return str(self.metadata.get("general.architecture", ""))

    @property
    def quantisation(self) -> str:
        """How the weights are stored, the most frequent way first: "Q4_1, Q8_0"."""
        sizes: dict[str, int] = {}
        for tensor in self.tensors.values():
            sizes[tensor.kind] = sizes.get(tensor.kind, 0) + math.prod(tensor.shape)
        return ", ".join(sorted(sizes, key=lambda kind: -sizes[kind]))


def gguf_library() -> ModuleType:
    """Import the library that de-quantises GGUF files.

    Raises:
        ModelError: It is not installed.
    """
    try:
        import gguf
    except ImportError as error:
        raise ModelError(
            "A GGUF file was asked for, and the package gguf is not installed. "
            "Expected the extra gguf. Install it: pip install 'icl-gd-probes[gguf]'."
        ) from error
    return gguf


def read_gguf_header(path: Path) -> GGUFHeader:
    """Read the metadata of a GGUF file and where its tensors are.

    Raises:
        ModelError: It is no GGUF file, it was cut off, or its header has no end.
    """
    kinds = {int(k): (k.name, *v) for k, v in gguf_library().GGML_QUANT_SIZES.items()}
    try:
        size = os.stat(path).st_size
        with path.open("rb") as handle:
            header = _read(path, _Stream(handle), kinds)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} is no GGUF file that can be read: {error}. Expected a whole file "
            f"of version {' or '.join(map(str, VERSIONS))}. Fetch the file again, or "
            f"convert the model again."
        ) from error
    wanted = max((t.start + t.n_bytes for t in header.tensors.values()), default=0)
    if size < wanted:
        raise ModelError(
            f"{path} holds {size} bytes. Expected {wanted}, as its header says: the "
            f"file was cut off. Fetch it again."
        )
    return header


class _Stream:
    """A file that is read from the start, in bounded pieces."""

    def __init__(self, handle: BinaryIO) -> None:
        self.handle = handle
        self.n_elements = 0

    def bytes(self, count: int, *, most: int) -> bytes:
        if count > most:
            raise UnreadableError(f"its header has a part of {count} bytes")
        data = self.handle.read(count)
        if len(data) < count:
            raise UnreadableError("it ends in the middle of its header")
        return data

    def number(self, form: str) -> Any:
        form = f"<{form}"
        return struct.unpack(form, self.bytes(struct.calcsize(form), most=8))[0]

    def text(self, *, longest: int) -> str:
        return self.bytes(self.number("Q"), most=longest).decode("utf-8")

    def skip_array(self) -> None:
        kind, count = self.number("I"), self.number("Q")
        self.n_elements += count
        if self.n_elements > MOST_ELEMENTS:
            raise UnreadableError(f"its arrays have more than {MOST_ELEMENTS} elements")
        if kind == TEXT:
            for _ in range(count):
                self.bytes(self.number("Q"), most=LONGEST_TOKEN)
        elif kind in NUMBERS:
            self.bytes(count * struct.calcsize(NUMBERS[kind]), most=8 * MOST_ELEMENTS)
        else:
            raise UnreadableError(f"its header has an array of the type {kind}")


def _read(
    path: Path, stream: _Stream, kinds: dict[int, tuple[str, int, int]]
) -> GGUFHeader:
    if stream.handle.read(len(MAGIC)) != MAGIC:
        raise UnreadableError("it does not begin as one")
    version = stream.number("I")
    if version not in VERSIONS:
        raise UnreadableError(f"its version is {version}")
    n_tensors, n_fields = stream.number("Q"), stream.number("Q")
    if max(n_tensors, n_fields) > MOST_FIELDS:
        raise UnreadableError(f"it claims {n_tensors} tensors and {n_fields} fields")
    metadata = dict(_fields(stream, n_fields))
    described = [_description(stream, kinds) for _ in range(n_tensors)]
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1:
        raise UnreadableError(f"its alignment is {brief(alignment)}")
    begin = -(-stream.handle.tell() // alignment) * alignment
    tensors = {t.name: t for t in (_placed(each, begin, kinds) for each in described)}
    if len(tensors) < n_tensors:
        raise UnreadableError("two of its tensors have one name")
    return GGUFHeader(path=path, metadata=metadata, tensors=tensors)


def _fields(stream: _Stream, count: int) -> Iterator[tuple[str, Any]]:
    for _ in range(count):
        name, kind = stream.text(longest=LONGEST_TOKEN), stream.number("I")
        if kind == ARRAY:
            stream.skip_array()
        elif kind == TEXT:
            yield name, stream.text(longest=LONGEST_TEXT)
        elif kind in NUMBERS:
            yield name, stream.number(NUMBERS[kind])
        else:
            raise UnreadableError(f"its field {brief(name)} has the type {kind}")


def _description(
    stream: _Stream, kinds: dict[int, tuple[str, int, int]]
) -> tuple[str, tuple[int, ...], int, int]:
    name, n_dimensions = stream.text(longest=LONGEST_TOKEN), stream.number("I")
    if n_dimensions > MOST_DIMENSIONS:
        raise UnreadableError(f"{brief(name)} has {n_dimensions} dimensions")
    columns_first = [stream.number("Q") for _ in range(n_dimensions)]
    kind, offset = stream.number("I"), stream.number("Q")
    if kind not in kinds:
        raise UnreadableError(f"{brief(name)} is stored in the unknown way {kind}")
    return name, tuple(reversed(columns_first)), kind, offset


def _placed(
    described: tuple[str, tuple[int, ...], int, int],
    begin: int,
    kinds: dict[int, tuple[str, int, int]],
) -> GGUFTensor:
    name, shape, number, offset = described
    kind, block, n_bytes = kinds[number]
    if not shape or shape[-1] % block:
        raise UnreadableError(
            f"{brief(name)} has the shape {shape}, and {kind} has blocks of {block}"
        )
    return GGUFTensor(
        name=name,
        kind=kind,
        shape=shape,
        start=begin + offset,
        n_bytes=math.prod(shape) // block * n_bytes,
    )
