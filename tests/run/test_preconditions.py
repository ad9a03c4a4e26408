"""What cannot be had is told before anything is collected or measured."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch

from probes.errors import OptionError, ProbesError
from probes.models.runtime.devices import require_device
from probes.run.ini_options import complete
from probes.run.options import RUN_OPTIONS
from probes.run.run_setup import RunSetup

SMALL = {"models": "constructed_gd_1", "datasets": "linear"}


def check(folder: Path, **given: Any) -> None:
    """Check a run as it is checked when it starts."""
    places = {"store": str(folder / "store"), "reports": str(folder / "reports")}
    absent = dict.fromkeys(option.attribute for option in RUN_OPTIONS)
    option = Namespace(**{**absent, "collectonly": False, **SMALL, **places, **given})
    complete(option, lambda key: None)
    RunSetup(option, folder).check()


def test_a_run_that_can_be_had_leaves_no_report_behind(tmp_path: Path) -> None:
    check(tmp_path)
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cuda:", "mps", "CUDA"])
def test_a_device_that_there_is_not_is_told_with_those_that_there_are(
    name: str, tmp_path: Path
) -> None:
    wording = rf"--device is '{name}'\. Expected cpu, cuda, cuda:1 .* or auto\. Pass"
    with pytest.raises(OptionError, match=wording):
        check(tmp_path, device=name)


@pytest.mark.parametrize(("name", "n_gpus"), [("cuda", 0), ("cuda:2", 2)])
def test_a_gpu_that_this_machine_lacks_is_told(
    name: str, n_gpus: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: n_gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    with pytest.raises(OptionError, match=rf"--device is '{name}', and .* Expected"):
        check(tmp_path, device=name)
    with pytest.raises(OptionError):
        check(tmp_path, device=name, engine="ray", plan=True)


def test_a_gpu_is_not_looked_for_where_others_measure() -> None:
    require_device("cuda:99", is_here=False)


def test_the_gpus_of_a_machine_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name in ("cuda", "cuda:0", "cuda:1"):
        require_device(name)


@pytest.mark.parametrize(
    ("held", "wording"),
    [({}, "it has no config.json"), ({"config.json": "{}"}, r"no \*\.safetensors")],
)
def test_a_folder_that_is_no_whole_model_is_told(
    held: dict[str, str], wording: str, tmp_path: Path
) -> None:
    (tmp_path / "m").mkdir()
    for name, text in held.items():
        (tmp_path / "m" / name).write_text(text)
    with pytest.raises(ProbesError, match=wording):
        check(tmp_path, models=str(tmp_path / "m"), datasets="antonym")


def test_a_tokenizer_without_a_chat_template_is_told(tmp_path: Path) -> None:
    wording = (
        r"--chat cannot be used with hmm_llama\. The tokenizer has no chat template"
    )
    with pytest.raises(OptionError, match=wording):
        check(tmp_path, models="hmm_llama", datasets="hmm", chat=True)


def test_rows_on_the_hub_are_read_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ProbesError, match="'agnews' is on the Hub"):
        check(tmp_path, models="org/name", datasets="agnews")


def test_a_report_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place = str(tmp_path / "file" / "reports")
    with pytest.raises(OptionError, match=r"--reports is .* nothing can be written"):
        check(tmp_path, reports=place)
    check(tmp_path, reports=place, plan=True)


TEXTS = [option for option in RUN_OPTIONS if option.kind is str]


@pytest.mark.parametrize("option", TEXTS, ids=lambda option: option.name)
def test_an_empty_value_is_told_with_what_was_expected(
    option: Any, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match=rf"^{option.name} is empty\. Expected \w"):
        check(tmp_path, **{option.attribute: " "})
