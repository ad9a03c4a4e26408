"""The header of a GGUF file, read within bounds."""

from __future__ import annotations

import random
import struct
import sys
import time
from pathlib import Path

import pytest

from probes.errors import ModelError
from probes.models.files.gguf_header import GGUFHeader, read_gguf_header
from tests.support.gguf_files import gguf, write_gguf


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "any.gguf", "gemma3", "Q4_K_M")


@pytest.fixture(scope="module")
def header(path: Path) -> GGUFHeader:
    return read_gguf_header(path)


def test_it_says_what_the_library_reads(path: Path, header: GGUFHeader) -> None:
    theirs = gguf.GGUFReader(path)
    for name, value in header.metadata.items():
        assert theirs.fields[name].contents() == value
    assert len(header.tensors) == len(theirs.tensors)
    for tensor in theirs.tensors:
        ours = header.tensors[tensor.name]
        assert ours.kind == tensor.tensor_type.name
        assert ours.shape == tuple(reversed(tensor.shape.tolist()))
        assert (ours.start, ours.n_bytes) == (tensor.data_offset, tensor.n_bytes)


def test_the_most_frequent_way_of_storing_is_named_first(header: GGUFHeader) -> None:
    assert header.quantisation == "Q4_K, Q6_K, F32"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it does not begin as one"),
        (b"not a model at all", "it does not begin as one"),
        (b"GGUF", "it ends in the middle of its header"),
        (b"GGUF" + struct.pack("<I", 1), "its version is 1"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0), "it claims 1152921504606846976"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**60), "a part of 115292150460684"),
    ],
)
def test_what_is_no_gguf_file_is_refused(
    data: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=f"bad.gguf is no GGUF file.*{message}"):
        read_gguf_header(path)


def endless(kind: int) -> bytes:
    """Claim an array that is longer than any file."""
    field = struct.pack("<Q", 1) + b"a" + struct.pack("<IIQ", 9, kind, 2**62)
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + field


@pytest.mark.parametrize("kind", [0, 7, 8, 9, 12, 99])
def test_an_endless_array_ends_at_once(kind: int, tmp_path: Path) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(endless(kind))
    began = time.monotonic()
    with pytest.raises(ModelError, match="its arrays have more than"):
        read_gguf_header(path)
    assert time.monotonic() - began < 5


def test_a_file_that_was_cut_off_is_refused_wherever_it_ends(
    path: Path, header: GGUFHeader, tmp_path: Path
) -> None:
    data, cut = path.read_bytes(), tmp_path / "cut.gguf"
    begin = min(tensor.start for tensor in header.tensors.values())
    ends = [*range(0, begin, max(1, begin // 150)), begin, len(data) // 2]
    for end in ends:
        cut.write_bytes(data[:end])
        with pytest.raises(ModelError, match=r"cut\.gguf"):
            read_gguf_header(cut)
    with pytest.raises(ModelError, match="the file was cut off. Fetch it again"):
        read_gguf_header(cut)


def test_damage_of_the_header_is_an_error_or_harmless(
    path: Path, header: GGUFHeader, tmp_path: Path
) -> None:
    begin = min(tensor.start for tensor in header.tensors.values())
    data, damaged = path.read_bytes(), tmp_path / "damaged.gguf"
    draw = random.Random(0)
    n_refused = 0
    for _ in range(300):
        changed = bytearray(data)
        for _ in range(draw.randint(1, 4)):
            changed[draw.randrange(begin)] = draw.randrange(256)
        damaged.write_bytes(changed)
        try:
            read_gguf_header(damaged)
        except ModelError:
            n_refused += 1
    assert n_refused > 30


def test_a_missing_package_is_a_sentence_that_says_how_to_install_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)  # as if not installed
    with pytest.raises(ModelError, match=r"pip install 'icl-gd-probes\[gguf\]'"):
        read_gguf_header(path)
