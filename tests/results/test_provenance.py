"""A row names the commit of the code that made it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from probes.cell import Settings
from probes.results import provenance as module


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make a repository with code and a report, and let the module be in it."""
    for name in ("src/code.py", "reports/matrix.md"):
        path = tmp_path / name
        path.parent.mkdir()
        path.write_text("old\n")
    for words in ("init -q", "add .", "commit -q -m all"):
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", *who, *words.split()], cwd=tmp_path, check=True)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "src" / "code.py"))
    module._commit.cache_clear()
    yield tmp_path
    module._commit.cache_clear()


@pytest.mark.parametrize(
    ("changed", "ending"), [("src/code.py", "+changes"), ("reports/matrix.md", "")]
)
def test_a_changed_report_is_no_change_of_the_code(
    checkout: Path, changed: str, ending: str
) -> None:
    asked = ["git", "rev-parse", "HEAD"]
    head = subprocess.run(
        asked, cwd=checkout, check=True, text=True, capture_output=True
    ).stdout.strip()
    (checkout / changed).write_text("new\n")
    assert module.provenance(Settings(), {})["commit"] == head + ending
