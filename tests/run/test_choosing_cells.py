"""The manual's examples of ``-k`` choose the cells that the manual says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.support.running import ROOT, run

EXAMPLE = re.compile(r"^    pytest (claims/ -k .+?)  +# (.+)$", re.MULTILINE)
EXAMPLES = EXAMPLE.findall((ROOT / "docs/options.md").read_text("utf-8"))
CELL = re.compile(r"::test_(\w+)\[(.+)-(\w+)-(\d+)(?:-(\w+))?\]$", re.MULTILINE)
CLAIM, MODEL, DATASET, NUMBER, VARIANT = range(5)


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[tuple[str, ...]]]:
    """Map what the manual says of each example to the cells that pytest collects."""
    folder = tmp_path_factory.mktemp("chosen")
    return {
        said: {*CELL.findall(run(folder, *shlex.split(words), "--collect-only").text)}
        for words, said in EXAMPLES
    }


def parts(cells: set[tuple[str, ...]], place: int) -> set[str]:
    return {cell[place] for cell in cells}


def test_a_claim_alone_is_chosen_on_every_model(
    chosen: dict[str, set[tuple[str, ...]]],
) -> None:
    cells = chosen["one claim, everywhere"]
    assert parts(cells, CLAIM) == {"same_accuracy"}
    assert {"hmm_llama", "text_llama"} <= parts(cells, MODEL)
    assert len(parts(cells, VARIANT)) > 1


def test_a_model_is_chosen_without_some_variants(
    chosen: dict[str, set[tuple[str, ...]]],
) -> None:
    cells = chosen["one model, without the variants of W_V"]
    assert parts(cells, MODEL) == {"hmm_llama"}
    assert {"gd", "adam"} <= parts(cells, VARIANT)
    assert not any("W_V" in variant for variant in parts(cells, VARIANT))


def test_a_claim_a_number_and_a_variant_are_chosen_exactly(
    chosen: dict[str, set[tuple[str, ...]]],
) -> None:
    cells = chosen["one claim, 4 demonstrations, the variant gd"]
    assert {cell[:1] + cell[3:] for cell in cells} == {("same_accuracy", "4", "gd")}
    assert len(parts(cells, MODEL)) > 1


def test_the_names_that_the_manual_warns_of_are_names() -> None:
    text = Path(ROOT / "docs/options.md").read_text("utf-8")
    warned = "`same_accuracy` is also in `same_accuracy_over_vocabulary`"
    assert warned in text.replace("\n", " ")
    claims = (ROOT / "claims/test_output.py").read_text("utf-8")
    assert "def test_same_accuracy_over_vocabulary(" in claims
