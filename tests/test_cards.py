"""What cards say a model or dataset can do, for every registered one."""

from __future__ import annotations

from dataclasses import replace

import probes_fixtures.datasets
import probes_fixtures.models  # noqa: F401 - fills the registry
import pytest

from probes.cards import ModelCard
from probes.errors import OptionError
from probes.models.untrained import untrained_model
from probes.run.grid import DATASETS, MODELS
from tests.support.cards import dataset, model, network

CARDS = list(MODELS)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_only_weights_written_by_hand_are_decided_by_algebra(card: ModelCard) -> None:
    by_hand = card.name.startswith(("constructed_", "spoiled_"))
    assert card.decided_by_algebra is by_hand
    assert card.reads_any_number is by_hand
    assert card.has_untrained_version is not by_hand


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_a_model_has_an_untrained_version_exactly_if_one_can_be_made(
    card: ModelCard,
) -> None:
    if card.has_untrained_version:
        untrained = untrained_model(card)
        assert untrained.architecture_source == card.architecture_source
        assert untrained.attends_to_pairs is card.attends_to_pairs
    else:
        with pytest.raises(OptionError):
            untrained_model(card)


def test_only_newton_prepares_its_first_step() -> None:
    assert {c.name for c in CARDS if c.n_setup_layers} == {"constructed_newton_4"}


def test_rows_run_out_and_tasks_do_not() -> None:
    finite = {card.name for card in DATASETS if card.has_finite_rows}
    assert finite == {card.name for card in DATASETS if card.family == "text"}


def test_a_model_answers_its_own_family_and_language_only() -> None:
    llama, rows = model("llama"), dataset("rows")
    assert llama.answers_text
    assert llama.answers(rows)
    assert not llama.answers(dataset("codes", language="hmm"))
    assert not network("gd").answers_text
    assert not replace(network("gd"), language="english").answers(rows)
