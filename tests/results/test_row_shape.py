"""One description of a row makes the schema, and checks what is written and read."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from probes.cli.main import main
from probes.errors import OptionError
from probes.results.effect_shape import EFFECT_FIELDS
from probes.results.reading import NEEDED, read_results
from probes.results.row_shape import (
    ROW,
    ROW_FIELDS,
    in_written_order,
    schema_text,
)
from probes.verdicts.judgement import Effect
from tests.support.running import ROOT

SAMPLE = ROOT / "reports" / "sample" / "results.jsonl"
SHIPPED = ROOT / "src" / "probes" / "results" / "row.schema.json"
ROWS = [json.loads(line) for line in SAMPLE.read_text("utf-8").splitlines()]
ODD = (None, True, -1, 0, 0.5, 2, "word", [], {}, [None], {"a": 1})


def richest(name: str) -> dict[str, Any]:
    """Return the sample row that has the field, and the most in it."""
    found = max(ROWS, key=lambda row: len(json.dumps(row[name])))
    return copy.deepcopy(found)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Name every place inside a value, as (container, key or index)."""
    keys = value if isinstance(value, dict) else range(len(value))
    for key in list(keys):
        yield value, key
        if isinstance(value[key], dict | list) and value[key]:
            picked = value[key][:1] if isinstance(value[key], list) else value[key]
            if isinstance(value[key], list):
                value[key] = picked
            yield from places(value[key])


def test_the_shipped_schema_is_the_generated_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert SHIPPED.read_text("utf-8") == schema_text()
    assert main(["report", "schema"]) == 0
    assert capsys.readouterr().out == schema_text()


def test_every_row_of_the_sample_fits_and_has_its_fields_in_order() -> None:
    for row in ROWS:
        assert ROW.fits(row)
        assert ROW.reads(row)
        assert list(in_written_order(row)) == list(row)


def test_an_effect_has_the_fields_that_are_described() -> None:
    assert [field.name for field in fields(Effect)] == list(EFFECT_FIELDS)


@pytest.mark.parametrize("name", ["details", "example", "effects"])
def test_the_schema_and_the_check_agree_on_every_spoiled_row(name: str) -> None:
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(json.loads(schema_text()))
    row = richest(name)
    row["looks"] = {"planned": [10, 20], "taken": 1, "level": 0.02}
    n_refused = 0
    for holder, key in places(row):
        kept = holder[key]
        for odd in ODD:
            holder[key] = odd
            assert ROW.fits(row) == validator.is_valid(row), (key, odd)
            n_refused += not ROW.fits(row)
        if isinstance(holder, dict):
            del holder[key]
            assert ROW.fits(row) == validator.is_valid(row), key
            holder["unknown"] = 1
            assert ROW.fits(row) == validator.is_valid(row), key
            del holder["unknown"]
            holder[key] = kept
        holder[key] = kept
    assert n_refused > 100


def test_a_row_of_an_earlier_version_may_lack_what_no_reader_needs(
    tmp_path: Path,
) -> None:
    path = tmp_path / "results.jsonl"
    row = {name: value for name, value in ROWS[0].items() if name in NEEDED}
    path.write_text(json.dumps(row | {"of_a_later_version": 1}))
    assert read_results(path)[0]["claim"] == row["claim"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("verdict", "maybe", "the field verdict 'maybe', not one of supported"),
        ("seconds", "x", "the field seconds 'x', not a finite number"),
        ("n_demonstrations", -1, "-1, not a whole number of 0 or more"),
        ("effects", [{}], "not a list of items that are each an object with ceiling"),
        ("expected", 3, "3, not one of supported, .*, or null"),
        ("note", ["a"], "not a text, or null"),
    ],
)
def test_a_wrong_field_is_named_with_what_was_expected(
    name: str, value: object, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(json.dumps(ROWS[0] | {name: value}))
    with pytest.raises(OptionError, match=f"line 1 has .*{said}"):
        read_results(path)


ALWAYS = [name for name, field in ROW_FIELDS.items() if not field.is_optional]


@pytest.mark.parametrize("name", ALWAYS)
def test_a_row_without_a_field_cannot_be_built(name: str) -> None:
    row = {key: value for key, value in ROWS[0].items() if key != name}
    with pytest.raises(AssertionError, match=f"lacks .*{name}"):
        in_written_order(row)
