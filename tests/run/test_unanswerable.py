"""Cells that no model can answer are left out before anything is measured, and told."""

from __future__ import annotations

from pathlib import Path

import pytest

from probes.run.unanswerable import unanswerable_lines
from tests.support.open_answers import character_tokenizer, words, write_rows
from tests.support.running import run
from tests.support.zoo import built

SIZES = ("--demos", "2", "--sets", "2", "--queries", "2", "--calibration", "2")


def test_reasons_are_counted_for_each_model() -> None:
    given = [("a", "it is tall"), ("b", "it is tall"), ("a", "it is tall")]
    assert unanswerable_lines(given) == [
        "2 cells of a left out: it is tall.",
        "1 cell of b left out: it is tall.",
    ]


@pytest.fixture
def recurrent(tmp_path: Path) -> tuple[str, ...]:
    """Save a recurrent model and rows for it, and give the options that name them."""
    folder = tmp_path / "recurrent"
    built("mamba").save_pretrained(folder)
    character_tokenizer().save_pretrained(folder)
    labels = ("good", "bad")
    outputs = {word: labels[i % 2] for i, word in enumerate(words(40))}
    write_rows(tmp_path / "rows", outputs, 24, answer=" {label}", answers="labels")
    return ("--models", str(folder), "--datasets", str(tmp_path / "rows"), *SIZES)


@pytest.mark.parametrize("workers", ["0", "1"])
def test_cells_without_an_answer_are_not_run(
    tmp_path: Path, recurrent: tuple[str, ...], workers: str
) -> None:
    claims = ("claims/test_weights.py", "claims/test_identities.py")
    ran = run(tmp_path, *claims, *recurrent, "-n", workers)
    assert "1 cell of recurrent left out: its layers have no matrix W_Q." in ran.text
    assert all(row["verdict"] != "error" for row in ran.rows)
    assert "not every layer has self-attention" in " ".join(ran.run["left_out"])


def test_a_grid_in_which_no_cell_has_an_answer_is_refused(
    tmp_path: Path, recurrent: tuple[str, ...]
) -> None:
    ran = run(tmp_path, "claims/test_identities.py", *recurrent)
    assert ran.status == 4
    assert "ERROR: 1 cell of recurrent left out: not every layer has self" in ran.text
