"""The pages of docs/ keep their word: every example on them is run."""

from __future__ import annotations

import re
import shlex
import textwrap
from pathlib import Path

import pytest

from tests.support.picture import PAGE, renewed
from tests.support.running import ROOT, as_installed
from tests.support.spawning import python

DOCS = ROOT / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
LINKING = [
    "README.md",
    "CHANGELOG.md",
    "reports/findings.md",
    *(f"docs/{page}" for page in PAGES),
]
BLOCK = re.compile(r"^```(\w+) ?(.*?)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


def runs(line: str, folder: Path, status: int) -> str:
    """Run a line as a reader types it; return what it prints."""
    program, *words = shlex.split(line)
    asked = {
        "pytest": ["-m", "pytest", "-p", "no:cacheprovider"],
        "probes": ["-m", "probes"],
        "python": [],
    }[program]
    done = python(*asked, *words, cwd=folder, env=as_installed())
    text = done.stdout + done.stderr
    assert done.returncode == status, text
    return " ".join(text.split())


@pytest.mark.parametrize("page", PAGES)
def test_every_example_of_a_page_runs_and_prints_what_it_says(
    page: str, tmp_path: Path
) -> None:
    for kind, said, body in BLOCK.findall((DOCS / page).read_text("utf-8")):
        if said.startswith("file="):
            (tmp_path / said.removeprefix("file=")).write_text(body, "utf-8")
            continue
        if kind == "text":  # a drawing
            continue
        assert kind == "console", f"{page} has a block that nothing runs: {kind}"
        printed = ""
        for line in body.splitlines():
            if line.startswith("$ "):
                status = int(said.removeprefix("exits=") or 0)
                printed = runs(line.removeprefix("$ "), tmp_path, status)
            else:
                assert " ".join(line.split()) in printed


def indented_blocks(page: str) -> list[str]:
    """Give the blocks of a page that are set four spaces in, without these."""
    blocks = re.findall(r"^(?:(?: {4}.*)?\n)+", page, flags=re.MULTILINE)
    return [textwrap.dedent(block).strip() + "\n" for block in blocks if block.strip()]


def test_the_claim_of_the_readme_runs_as_it_is_written(tmp_path: Path) -> None:
    blocks = indented_blocks((ROOT / "README.md").read_text("utf-8"))
    (claim,) = (block for block in blocks if "from probes import claim" in block)
    (line,) = (block for block in blocks if block.startswith("pytest claims/test_mine"))
    path = tmp_path / "claims/test_mine.py"
    path.parent.mkdir()
    path.write_text(claim, "utf-8")
    (tmp_path / "conftest.py").write_text((ROOT / "conftest.py").read_text("utf-8"))
    printed = runs(line, tmp_path, status=1)  # a refuted cell without a record fails
    assert "same_certainty R" in printed
    assert "2 cells on 1 model: 0 supported, 2 refuted" in printed


@pytest.mark.parametrize("page", LINKING)
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    for target in re.findall(r"\]\(([^)#:]+)[^):]*\)", text):
        assert (ROOT / page).parent.joinpath(target).exists(), target


def test_the_index_names_every_page() -> None:
    index = (DOCS / "README.md").read_text("utf-8")
    assert all(f"({page})" in index for page in PAGES if page != "README.md")


def test_the_picture_of_the_layers_is_drawn_from_the_imports() -> None:
    page = PAGE.read_text("utf-8")
    assert renewed(page) == page, "run: python -m tests.support.picture"


@pytest.mark.parametrize("page", LINKING)
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    named = re.findall(
        r"`((?:src/probes|tests|fixtures|claims|reports)/[\w./-]+)`", text
    )
    missing = [name for name in named if not (ROOT / name).exists()]
    planted = "reports/calibration/planted/"  # make calibration writes it
    written_by_readers = ("reports/latest", "claims/test_mine.py", planted)
    assert [name for name in missing if not name.startswith(written_by_readers)] == []
