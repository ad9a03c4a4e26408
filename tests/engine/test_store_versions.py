"""After an upgrade of a library, a run says what the upgrade sets aside."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from probes import library_versions
from probes.engine.store import Store, StoreWarning
from probes.engine.store_versions import FILE, note_upgrades


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def upgraded(monkeypatch: pytest.MonkeyPatch, release: str) -> None:
    real = library_versions._release
    monkeypatch.setattr(
        library_versions,
        "_release",
        lambda name: release if name == "torch" else real(name),
    )


def test_an_upgrade_is_one_sentence_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgraded(monkeypatch, "2.0.0")
    note_upgrades(store)
    upgraded(monkeypatch, "2.0.1")
    with pytest.warns(StoreWarning, match="torch 2.0.0 is now 2.0.1. What") as told:
        note_upgrades(store)
    assert len(told) == 1
    note_upgrades(store)  # a warning would be an error


@pytest.mark.parametrize("held", ["", "[1]", '{"torch": "none"}', "{"])
def test_a_first_run_and_a_damaged_file_say_nothing_wrong(
    store: Store, held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgraded(monkeypatch, "none")
    if held:
        (store.folder / FILE).write_text(held)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        note_upgrades(store)


def test_a_store_that_cannot_be_written_is_no_error(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    (store.folder / FILE).mkdir()
    upgraded(monkeypatch, "2.0.1")
    note_upgrades(store)
