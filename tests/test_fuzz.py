"""Whatever bytes the parsers are given, they answer, or refuse in their own words.

``make fuzz`` gives each parser 12,000 inputs or more; the tests give it a few, always
the same.
"""

from __future__ import annotations

import json
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from probes.cards import TextRows
from probes.cell import Settings
from probes.data import datasets
from probes.engine.store import Store, StoreWarning
from probes.engine.store_inventory import parse_size
from probes.errors import ProbesError
from probes.models.files.safetensors_headers import require_loadable
from probes.observations.observation import Observation
from probes.report.changes import RunComparison, changes_page
from probes.report.curves import PLANS, panels_of
from probes.report.forest import forest_of
from probes.report.latex_table import latex_tables
from probes.report.markdown import matrix_markdown
from probes.report.matrix import arrange
from probes.report.page import matrix_page
from probes.report.short_summary import short_summary
from probes.report.step_maps import maps_of
from probes.report.terminal import matrix_lines
from probes.results.comparison import CellResult, compare_cells, comparison_lines
from probes.results.reading import complete_row, read_results
from probes.results.record import Record, differences
from probes.results.row_shape import CELL
from probes.results.rows import row_id
from probes.run.catalogue_page import catalogue_page
from probes.run.ini_options import complete
from probes.run.options import RUN_OPTIONS
from probes.run.parsed_options import grid_of, paths_of
from tests.support.rows import effect, row, run_of

MANY = int(os.environ.get("PROBES_FUZZ", "0"))
FUZZ = settings(
    max_examples=MANY or 25,
    derandomize=not MANY,
    database=None,
    deadline=None,
    suppress_health_check=[*HealthCheck],
    phases=[Phase.explicit, Phase.generate],  # the first failure tells enough
)
GIVEN: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def counted() -> Iterator[None]:
    yield
    if MANY:
        said = ", ".join(f"{n:,} {name}" for name, n in GIVEN.items())
        print(f"\n{GIVEN.total():,} inputs: {said}")


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    memory = "/dev/shm"  # a disk would be what is waited for
    with TemporaryDirectory(dir=memory if os.path.isdir(memory) else None) as folder:
        yield Path(folder)


# ------------------------------------------------------------------- what is given

TRICKY = st.sampled_from(
    [
        *("\0", "\ud800", "\u202e", "\N{BYTE ORDER MARK}", "\x1b[2J", "\r\n", '"'),
        *("../..", "/etc/passwd", "{text:9999999999}", "{text.__class__}", "{", "}"),
        *("=1+1", "1e999", "NaN", "[" * 2000, "9" * 5000, "<script>", "|", "a.b" * 99),
    ]
)
TEXTS = st.one_of(st.text(max_size=40), TRICKY)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.just(10**400)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)
    ),
    max_leaves=8,
)


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def written(value: object) -> bytes:
    try:
        return encoded(json.dumps(value))
    except ValueError:  # an integer too long to be written
        return b"9" * 5000


@st.composite
def edited(draw: Callable[[Any], Any], whole: bytes) -> bytes:
    """Cut, repeat and overwrite a valid file at random places."""
    found = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(found)))
        end = min(len(found), start + draw(st.integers(0, 8)))
        put = draw(
            st.one_of(
                st.binary(max_size=6),
                TEXTS.map(encoded),
                st.just(bytes(found[start:end]) * 3),
            )
        )
        found[start:end] = put
    return bytes(found)


@st.composite
def replaced(draw: Callable[[Any], Any], whole: Any) -> bytes:
    """Put anything in the place of one or two values of a valid JSON value."""
    found = json.loads(json.dumps(whole))
    for _ in range(draw(st.integers(1, 2))):
        at = found
        while True:
            keys = [*at] if isinstance(at, dict) else [*range(len(at))]
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(at[key], dict | list) and at[key] and draw(st.booleans()):
                at = at[key]
                continue
            if isinstance(at, dict) and draw(st.integers(0, 4)) == 0:
                del at[key]
            else:
                at[key] = draw(VALUES)
            break
    return written(found)


def inputs(whole: bytes, *values: Any) -> st.SearchStrategy[bytes]:
    kinds = [edited(whole), st.binary(max_size=200), VALUES.map(written)]
    return st.one_of(*kinds, *map(replaced, values))


def refused(name: str, ask: Callable[[], Any]) -> Any:
    """Count an input; return what comes of it, or None where it is refused in words."""
    GIVEN[name] += 1
    try:
        return ask()
    except ProbesError as error:
        said = str(error)
    assert len(said) < 20_000  # the longest name given, twice
    return None


# --------------------------------------------------------------------- the parsers

LINES = [{"text": f"word {i}", "label": "ab"[i % 2], "group": "g"} for i in range(6)]
JSONL = b"".join(json.dumps(line).encode() + b"\n" for line in LINES)
CSV = b"text,label\r\n" + b"".join(b'"w, %d",%d\r\n' % (i, i % 2) for i in range(6))
TOML = b"""
[template]
instruction = "Judge.\\n"
query = "Review: {text}\\nMood:"
answer = " {label}."
[columns]
label = "label"
[verbalizer]
a = "Bad"
b = "Good"
"""


def read(path: Path, description: Path | None = None) -> Any:
    said = None if description is None else str(description)
    source = TextRows(location=str(path), description=said)
    return datasets._read.__wrapped__("moods", source, None)


@FUZZ
@given(
    st.one_of(
        inputs(JSONL), replaced(LINES[0]).map(lambda line: JSONL + line), edited(JSONL)
    ),
    st.one_of(edited(CSV), st.binary(max_size=200)),
)
def test_rows(place: Path, jsonl: bytes, csv: bytes) -> None:
    for name, content in (("rows.jsonl", jsonl), ("rows.csv", csv)):
        (place / name).write_bytes(content)
        found = refused("rows", lambda name=name: read(place / name))
        for one in (*found.train, *found.test) if found else ():
            assert found.description.demonstrate(one)


@FUZZ
@given(st.one_of(edited(TOML), st.binary(max_size=200), TEXTS.map(encoded)))
def test_descriptions(place: Path, toml: bytes) -> None:
    (place / "good.jsonl").write_bytes(JSONL)
    (place / "good.toml").write_bytes(toml)
    found = refused("datasets", lambda: read(place / "good.jsonl"))
    for one in (*found.train, *found.test) if found else ():
        assert len(found.description.demonstrate(one)) < 20_000


NAMES = st.one_of(
    TEXTS,
    st.lists(st.one_of(TEXTS, st.sampled_from(["hmm", "hmm_llama"]))).map(",".join),
)


@FUZZ
@given(
    st.fixed_dictionaries(
        {"models": NAMES, "datasets": NAMES, "demos": st.one_of(NAMES, st.text("0,9"))}
    ),
    st.dictionaries(
        st.sampled_from(["sets", "queries", "orders", "calibration", "seed"]),
        st.integers(),
    ),
    st.dictionaries(st.sampled_from(["data_dir", "store", "reports", "expect"]), TEXTS),
    st.dictionaries(st.sampled_from([option.name for option in RUN_OPTIONS]), VALUES),
    TEXTS,
)
def test_options(
    place: Path,
    names: dict[str, str],
    sizes: dict[str, int],
    places: dict[str, str],
    configured: dict[str, Any],
    size: str,
) -> None:
    asked: dict[str, Any] = {each.attribute: None for each in RUN_OPTIONS}
    option = SimpleNamespace(**asked)
    key = {each.ini_key: each.name for each in RUN_OPTIONS}
    refused("options", lambda: complete(option, lambda k: configured.get(key.get(k))))
    option = SimpleNamespace(**asked)
    complete(option, lambda _: None)
    vars(option).update({**names, **sizes, **places})
    refused("options", lambda: grid_of(option))
    refused("options", lambda: paths_of(option, place))
    refused("options", lambda: parse_size(size))


KEY = "0123456789abcdef" * 2


@pytest.fixture(scope="module")
def entry(place: Path) -> bytes:
    store = Store(place / "store")
    arrays = {"log_probs": np.arange(6.0).reshape(2, 3)}
    store.put(Observation(arrays=arrays, facts={"rate": 0.1}, key=KEY))
    return store.path(KEY).read_bytes()


@FUZZ
@given(st.data())
def test_store_entries(place: Path, entry: bytes, data: Any) -> None:
    store = Store(place / "store")
    content = data.draw(st.one_of(edited(entry), st.binary(max_size=200)))
    store.path(KEY).write_bytes(content)
    with warnings.catch_warnings(record=True) as said:
        GIVEN["store entries"] += 1
        store.facts(KEY)
        found = store.get(KEY)
    assert {warning.category for warning in said} <= {StoreWarning}
    assert (found is None) is bool(said)


CELLS = {"a|m|d|4": {"verdict": "refuted", "alone": "refuted", "effect": 0.5}}
CELLS["a|m|d|4"]["unit"] = "bits"
EXPECTED = {"settings": {"seed": 0, "n_sets": 4}, "cells": CELLS}


@FUZZ
@given(inputs(json.dumps(EXPECTED).encode(), EXPECTED))
def test_expected_files(place: Path, content: bytes) -> None:
    path = place / "expected.json"
    path.write_bytes(content)
    record = refused("expected files", lambda: Record(path, Settings()))
    if record is not None:
        record.compare([row()], row()["provenance"])


EXAMPLE = {"prompt": "p", "answer": "a", "icl": [["t", 0.5]], "gd": [["u", 0.5]]}
FULL = row(
    effects=[effect(sets=[0.1, 0.2]), effect(name="accuracy: GD", margin=None)],
    example=[EXAMPLE],
    expected="refuted",
    outcome="failed",
    details={
        "step_matching": {
            "unit": "x",
            "steps": [0, 1],
            "layers": [1],
            "algorithms": {"gd": [[0.1, 0.2]]},
            "best": {"gd": [{"steps": 0, "low": 0, "high": 1}]},
        }
    },
    claim="depth_is_steps[gd]",
)


@FUZZ
@given(inputs(json.dumps(FULL).encode(), FULL, FULL, FULL, FULL))
def test_results_and_everything_that_is_drawn_of_them(
    place: Path, content: bytes
) -> None:
    path = place / "results.jsonl"
    path.write_bytes(content)
    found = refused("results", lambda: read_results(path))
    if found is None:
        return
    Record(path, Settings()).compare([FULL], FULL["provenance"])
    cell_results = {row_id(one): CellResult.of(one) for one in found}
    changes = compare_cells({row_id(FULL): CellResult.of(FULL)}, cell_results)
    comparison_lines(changes)
    compared = RunComparison(
        names=["a", "b"],
        changes=[changes],
        sides=[{row_id(one): one for one in rows} for rows in ([FULL], found)],
        differs=differences([FULL], found),
    )
    matrix = arrange(map(complete_row, found))
    forest_of(matrix)
    latex_tables(matrix)
    drawn = [changes_page(compared), catalogue_page([], found)]
    maps_of(found)
    for plan in PLANS:
        panels_of(plan, found)
    if all(
        one.keys() >= FULL.keys() - {"example", "identity", "details"} for one in found
    ):
        draws = (matrix_page, matrix_markdown, short_summary)
        drawn += [draw(found, run_of(found)) for draw in draws]
        drawn += matrix_lines(found, run_of(found))
    for text in drawn:
        text.encode("utf-8")


CONFIG = {"model_type": "llama", "hidden_size": 8, "rope": {"theta": 1e4}}
TOKENIZER = {
    "model": {"type": "BPE", "vocab": {"a": 0}},
    "normalizer": {
        "type": "Sequence",
        "normalizers": [
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
        ],
    },
}
HEADER = {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
INDEX = {"weight_map": {"w": "model-1.safetensors"}}
SHARD = json.dumps(HEADER).encode()
WEIGHTS = len(SHARD).to_bytes(8, "little") + SHARD + bytes(8)


@FUZZ
@given(st.data())
def test_folders_of_models(place: Path, data: Any) -> None:
    folder = place / "model"
    folder.mkdir(exist_ok=True)
    whole = {
        "config.json": CONFIG,
        "tokenizer.json": TOKENIZER,
        "model.safetensors.index.json": INDEX,
    }
    files = {name: json.dumps(value).encode() for name, value in whole.items()}
    sums = b"0" * 64 + b"  ../../etc/passwd\n"
    files |= {"model-1.safetensors": WEIGHTS, "SHA256SUMS": b""}
    broken = data.draw(st.sampled_from([*files]))
    if broken in whole:
        content = data.draw(inputs(files[broken], whole[broken]))
    else:
        content = data.draw(edited(files[broken] or sums))
    for name, valid in files.items():
        if not (folder / name).exists():
            (folder / name).write_bytes(valid)
    (folder / broken).write_bytes(content)
    refused("model folders", lambda: require_loadable(folder, needs_weights=True))
    (folder / broken).write_bytes(files[broken])


def test_the_valid_inputs_that_are_edited_are_read(place: Path, entry: bytes) -> None:
    folder = place / "valid"
    folder.mkdir()
    for name, content in (("r.jsonl", JSONL), ("r.toml", TOML), ("c.csv", CSV)):
        (folder / name).write_bytes(content)
    assert len(read(folder / "r.jsonl").labels) == 2
    assert len(read(folder / "c.csv").labels) == 2
    (folder / "results.jsonl").write_text(json.dumps(FULL))
    assert set(CELL) <= set(read_results(folder / "results.jsonl")[0])
    (folder / "expected.json").write_text(json.dumps(EXPECTED))
    assert Record(folder / "expected.json", Settings()).made_with
    store = Store(place / "store")
    store.path(KEY).write_bytes(entry)
    assert store.get(KEY) is not None
