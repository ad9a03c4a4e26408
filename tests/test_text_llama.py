"""The small Llama of English does what its card says, and its untrained twin does not.

``PROBES_CORPUS=FOLDER`` names the folder with ``valid.txt.xz``, which does not ship;
the test that reads it is skipped where it is not set.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from fixtures.models import TEXT_LLAMA
from fixtures.training.corpus import Windows, held_out_documents
from fixtures.training.measure_text import (
    bits_per_byte,
    compressors,
    in_context_score,
    induction,
    label_copying,
    load,
)
from fixtures.training.text_llama import Schedule, batch_at
from probes.grid import MODELS
from probes.networks.causal_lm import CausalLM
from tests.running import ROOT

ROWS = ROOT / "fixtures" / "rows"


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def llama() -> CausalLM:
    return load(TEXT_LLAMA)


@pytest.fixture(scope="module")
def twin() -> CausalLM:
    return load(TEXT_LLAMA, untrained=True)


def texts(name: str = "opinions") -> list[str]:
    lines = (ROWS / name / "test.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


def test_it_writes_english_in_fewer_bits_than_compressors_and_its_twin(
    llama: CausalLM, twin: CausalLM
) -> None:
    unseen = [" ".join(texts())]  # written for this project, so in no training
    found = bits_per_byte(llama, unseen)
    assert found < 0.75 * min(compressors(unseen).values())
    assert found < 0.75 * bits_per_byte(twin, unseen)


def test_it_copies_what_it_saw_once_and_its_twin_does_not(
    llama: CausalLM, twin: CausalLM
) -> None:
    shown, guessed = induction(llama), induction(twin)
    assert shown["first"] - shown["second"] > 3
    assert shown["right"] > 0.3
    assert abs(guessed["first"] - guessed["second"]) < 0.1
    assert guessed["right"] < 0.01


def test_its_last_state_writes_in_the_fewest_bits() -> None:
    states = [*(source.location for source in MODELS.get("text_llama").checkpoints)]
    unseen = [" ".join(texts()[:60])]
    bits = [bits_per_byte(load(Path(f)), unseen) for f in (*states, str(TEXT_LLAMA))]
    assert bits[0] == max(bits)
    assert bits[-1] < min(bits[:-1]) - 0.1


def test_held_out_text_costs_what_the_card_says(llama: CausalLM) -> None:
    corpus = os.environ.get("PROBES_CORPUS")
    if not corpus:
        pytest.skip("PROBES_CORPUS does not name the folder of held-out text")
    held_out = held_out_documents(Path(corpus))[:60]
    assert bits_per_byte(llama, held_out) < compressors(held_out)["xz -9e"]
    assert in_context_score(llama, held_out)[0] < 0.2


def test_labels_of_the_same_text_are_asked_in_both_ways(twin: CausalLM) -> None:
    # either label is shown for every text, so a model that does not look is at ½
    assert label_copying(twin, texts()[:20], ("good", "bad")) == pytest.approx(0.5)


# ------------------------------------------------------------------ its training


def test_a_window_that_repeats_holds_its_passage_over_and_over() -> None:
    import numpy as np

    stream = np.arange(50_000, dtype=np.uint16)
    schedule = Schedule()
    step = schedule.repeating_from + 2
    ids = batch_at(Windows([stream], 0), schedule, step)[:, 1:]
    repeating, plain = ids[:2], ids[2:]
    for row in repeating:
        period = next(n for n in schedule.passages if row[n] == row[0])
        assert torch.equal(row[period:], row[:-period])
    assert all(len(set(row.tolist())) == schedule.window for row in plain)


def test_windows_go_on_from_any_step() -> None:
    import numpy as np

    texts = [np.full(n, n, dtype=np.uint16) for n in (300, 500, 900)]
    schedule = Schedule()
    all_along, resumed = Windows(texts, 0), Windows(texts, 0)
    batches = [batch_at(all_along, schedule, step) for step in range(6)]
    assert torch.equal(batch_at(resumed, schedule, 5), batches[5])
