"""Bombs are refused in words, within memory; names do not leave their folders."""

from __future__ import annotations

import json
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from probes.bounded_io import UnreadableError, parse_json, require_inside
from probes.cards import Learned, LinearTasks
from probes.cell import Settings
from probes.data.row_files import read_labelled, split_files
from probes.data.template import read_description
from probes.engine.store import Store
from probes.errors import DataError, ModelError, OptionError, ProbesError, StoreError
from probes.models.files.safetensors_headers import (
    count_parameters,
    require_checksums,
    require_loadable,
    weight_files,
)
from probes.models.files.untrusted_config import read_json_object, require_harmless
from probes.models.regression.checkpoints import read_shape
from probes.results.reading import read_results
from probes.results.record import Record
from probes.run.grid import parse_datasets, parse_models
from tests.support.running import ROOT

HMM = ROOT / "fixtures/checkpoints/hmm_llama"
ROOM = 400_000_000  # bytes on top of what is held: far less than any bomb below


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """Let a test take little more memory than the process holds already."""
    said = Path("/proc/self/statm")
    if not said.exists():  # no Linux: the bombs are refused all the same
        yield
        return
    held = int(said.read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (held + ROOM, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def rows_of(path: Path) -> Any:
    from probes.data.template import Description

    return [*read_labelled(path, Description())]


def learned(path: Path) -> Any:
    source = Learned(
        location=str(path.parent), architecture="linear", trained_on=LinearTasks()
    )
    return read_shape(source)


READERS: dict[str, Callable[[Path], Any]] = {
    "rows.jsonl": rows_of,
    "rows.csv": rows_of,
    "rows.toml": lambda path: read_description(path.with_suffix(".jsonl"), None),
    "expected.json": lambda path: Record(path, Settings()),
    "results.jsonl": read_results,
    "config.json": learned,
    "tokenizer.json": read_json_object,
    "model.safetensors.index.json": lambda path: weight_files(path.parent),
    "SHA256SUMS": lambda path: require_checksums(path.parent),
}
READING = pytest.mark.parametrize("name", READERS)


@READING
def test_a_file_of_two_gigabytes_is_refused_unread(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.touch()
    os.truncate(path, 2_000_000_000)  # sparse: it takes no room
    with pytest.raises(ProbesError, match="it holds 2000000000 bytes, more than"):
        READERS[name](path)


@pytest.mark.parametrize("name", [n for n in READERS if "index" not in n])
def test_a_pipe_is_not_waited_for(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(ProbesError, match="it is no regular file"):
        READERS[name](tmp_path / name)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "results.jsonl"])
def test_a_line_that_never_ends_is_refused_before_it_is_whole(
    name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.touch()
    os.truncate(path, 250_000_000)
    with pytest.raises(ProbesError, match="line 1 is longer than"):
        READERS[name](path)


DEEP = "[" * 100_000
NESTED = '{"a":' * 100 + "1" + "}" * 100


@pytest.mark.parametrize("text", [DEEP, NESTED])
@pytest.mark.parametrize(
    "name", [n for n in READERS if n not in ("rows.csv", "rows.toml", "SHA256SUMS")]
)
def test_deep_nesting_is_refused(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ProbesError, match="nested"):
        READERS[name](path)


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 20_000,
        "a = " + "{a=" * 10_000,
        "[a" + ".a" * 20_000 + "]",
        "a" + ".a" * 20_000 + " = 1",
        '[columns]\nlabel = "' + "x" * 100_000 + '"',
    ],
    ids=["arrays", "tables", "header", "key", "long"],
)
def test_a_bomb_of_toml_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=r"nested|dots|more than 64000"):
        read_description(path.with_suffix(".jsonl"), None)


@pytest.mark.parametrize("text", ["[a" + ".a" * 200 + "]", "a" + ".a" * 200 + " = 1"])
def test_a_key_of_many_parts_is_refused_before_it_is_parsed(
    text: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.toml"
    path.write_text(f"\n{text}\n")
    with pytest.raises(DataError, match="line 2 has more than 100 dots"):
        read_description(path.with_suffix(".jsonl"), None)


def test_a_million_columns_are_refused(tmp_path: Path) -> None:
    csv, jsonl = tmp_path / "rows.csv", tmp_path / "rows.jsonl"
    csv.write_text("a," * 400_000 + "label\n" + "x," * 400_000 + "good\n")
    with pytest.raises(DataError, match="400001 columns, more than 1000"):
        rows_of(csv)
    wide = {f"c{i}": "" for i in range(50_000)}
    jsonl.write_text(json.dumps(wide | {"label": "good"}) + "\n")
    with pytest.raises(DataError, match="50001 columns. Expected at most 1000"):
        rows_of(jsonl)


def test_many_empty_lists_are_refused_though_they_are_few_bytes() -> None:
    with pytest.raises(UnreadableError, match="more than 1000 values"):
        parse_json("[" + "[]," * 1000 + "[]]", most_values=1000)


@pytest.mark.parametrize("query", ["{text:999999999}", "{text!r}", "{text.__class__}"])
def test_a_template_asks_for_a_columns_text_and_nothing_else(
    query: str, tmp_path: Path
) -> None:
    (tmp_path / "rows.toml").write_text(f'[template]\nquery = "{query}"\n')
    (tmp_path / "rows.jsonl").write_text('{"text": "x", "label": "good"}\n')
    description, _ = read_description(tmp_path / "rows.jsonl", None)
    (row,) = read_labelled(tmp_path / "rows.jsonl", description)
    with pytest.raises(DataError, match="cannot be filled"):
        description.require_filled(row)


# ----------------------------------------------------------------- a model's folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "model"
    shutil.copytree(HMM, home)
    (home / "SHA256SUMS").unlink()
    require_loadable(home, needs_weights=True)
    return home


def change(path: Path, **values: Any) -> None:
    found = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(found | values))


REPLACE = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}


@pytest.mark.parametrize(
    ("name", "values", "wording"),
    [
        ("config.json", {"auto_map": {"AutoModel": "m.M"}}, "its own code"),
        ("tokenizer_config.json", {"auto_map": {}}, "its own code"),
        ("tokenizer_config.json", {"tokenizer_file": "/etc/passwd"}, "as its token"),
        ("tokenizer_config.json", {"vocab_file": ".."}, "as its vocab"),
        ("config.json", {"attn_implementation": "org/kernel"}, "asks for code"),
        ("config.json", {"num_hidden_layers": 10**9}, "no model is so large"),
        ("config.json", {"text_config": {"vocab_size": 10**12}}, "is so large"),
        ("adapter_config.json", {"base_model_name_or_path": "/x"}, "adapter"),
        (
            "tokenizer.json",
            {"normalizer": {"type": "Sequence", "normalizers": [REPLACE] * 40}},
            r"turn one letter into up to 1.1e\+12",
        ),
    ],
)
def test_a_folder_that_asks_for_code_or_for_a_bomb_is_refused(
    folder: Path, name: str, values: dict[str, Any], wording: str
) -> None:
    change(folder / name, **values)
    with pytest.raises(ModelError, match=wording):
        require_harmless(folder)


def test_a_configuration_that_builds_more_than_fits_is_refused_unbuilt(
    folder: Path,
) -> None:
    from dataclasses import replace

    from probes.cards import Checkpoint
    from probes.models.causal_lm.loading import load_causal_lm
    from probes.run.grid import MODELS

    change(folder / "config.json", intermediate_size=10**9)
    card = MODELS.get("hmm_llama")
    card = replace(card, weights=Checkpoint(location=str(folder)))
    with pytest.raises(ModelError, match="Loading hmm_llama, .* parameters"):
        load_causal_lm(card, Settings())


def test_a_file_of_the_makers_disk_that_is_not_here_is_no_reason_to_refuse(
    folder: Path,
) -> None:
    stale = {"special_tokens_map_file": "/home/maker/special_tokens_map.json"}
    change(folder / "tokenizer_config.json", **stale, vocab_file=None)
    require_harmless(folder)


@pytest.mark.parametrize(
    "name", ["../model.safetensors", "/etc/passwd", "a/b", "..", "a\0b", "", 3, None]
)
def test_an_index_names_files_of_its_own_folder_only(folder: Path, name: Any) -> None:
    change(folder / "model.safetensors.index.json", weight_map={"w": name})
    with pytest.raises(ModelError, match=r"no plain file name"):
        weight_files(folder)


def test_a_name_too_long_for_any_file_is_refused_in_words(folder: Path) -> None:
    for name in ("a" * 5000, "a/" * 3000 + "b"):
        (folder / "SHA256SUMS").write_text("0" * 64 + f"  {name}\n")
        with pytest.raises(ModelError, match="lacks a|the name of a file"):
            require_checksums(folder)
    change(folder / "model.safetensors.index.json", weight_map={"w": "a" * 5000})
    with pytest.raises(ModelError, match="lacks 1 of the 1 files|cannot be used"):
        weight_files(folder)


@pytest.mark.parametrize(
    "tensor",
    [
        {"dtype": "F32", "shape": [0]},
        {"dtype": "F32", "data_offsets": [0, 0]},
        {"shape": [0], "data_offsets": [0, 0]},
        {"dtype": ["F32"], "shape": [0], "data_offsets": [0, 0]},
        {"dtype": "F32", "shape": ["a"], "data_offsets": [0, 0]},
        {"dtype": "F32", "shape": None, "data_offsets": [0, 0]},
        [],
    ],
)
def test_a_header_that_says_too_little_is_refused(tmp_path: Path, tensor: Any) -> None:
    header = json.dumps({"w": tensor}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ModelError, match="is no safetensors file"):
        count_parameters(tmp_path)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a\0b"])
def test_sums_name_files_of_their_own_folder_only(folder: Path, name: str) -> None:
    (folder / "SHA256SUMS").write_text("0" * 64 + f"  {name}\n")
    with pytest.raises(ModelError, match="the name of a file in this folder"):
        require_checksums(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_link_out_of_a_models_folder_is_refused(
    folder: Path, name: str, tmp_path: Path
) -> None:
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="leads out of its folder"):
        require_loadable(folder, needs_weights=True)


def test_the_links_of_the_hubs_cache_are_followed(folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "models--org--name"
    (home / "blobs").mkdir(parents=True)
    snapshot = home / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    for path in folder.iterdir():
        path.rename(home / "blobs" / path.name)
        (snapshot / path.name).symlink_to(f"../../blobs/{path.name}")
    require_loadable(snapshot, needs_weights=True)


# ------------------------------------------------------------------ data and places


@pytest.mark.parametrize("name", ["train.jsonl", "test.csv"])
def test_a_link_out_of_a_datasets_folder_is_refused(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for split in ("train.jsonl", "test.csv"):
        (folder / split).touch()
    (tmp_path / "secret").touch()
    (folder / name).unlink()
    (folder / name).symlink_to(tmp_path / "secret")
    with pytest.raises(DataError, match="leads out of its folder"):
        split_files(folder)


def test_a_description_that_leads_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "secret").touch()
    (folder / "dataset.toml").symlink_to(tmp_path / "secret")
    with pytest.raises(DataError, match="leads out of its folder"):
        read_description(folder, None)


@pytest.mark.parametrize(
    "key", ["../../etc/passwd", "/etc/passwd", "a\0", "", "A" * 32]
)
def test_no_key_names_a_file_outside_the_store(key: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a key of a store"):
        Store(tmp_path).path(key)


def test_names_with_null_bytes_are_refused() -> None:
    for parse in (parse_models, parse_datasets):
        with pytest.raises(OptionError, match="names separated by commas"):
            parse("a\0b")
    with pytest.raises(ValueError, match="null"):
        require_inside(Path("/tmp/a\0b"), Path("/tmp"))
