"""Every option explains itself, and the manual lists all of them."""

from __future__ import annotations

import re

import pytest

from probes.run.listing import LIST_OPTIONS
from probes.run.options import RUN_OPTIONS, RunOption
from tests.support.running import ROOT

MANUAL = (ROOT / "docs/options.md").read_text("utf-8").partition("\n## Options\n")[2]
ROWS = [line for line in MANUAL.splitlines() if line.startswith("| `--")]


@pytest.mark.parametrize("option", RUN_OPTIONS, ids=lambda option: option.name)
def test_an_option_says_what_it_does_and_what_happens_without_it(
    option: RunOption,
) -> None:
    assert option.help[0].islower()
    assert not option.help.endswith(".")
    if option.kind is not bool:
        assert option.metavar or option.choices
        assert option.full_help.endswith(
            f"(default: {option.without or option.default})"
        )
        assert "None" not in option.full_help


@pytest.mark.parametrize("option", RUN_OPTIONS, ids=lambda option: option.name)
def test_the_manual_has_the_option_with_its_default(option: RunOption) -> None:
    (row,) = (row for row in ROWS if re.match(rf"\| `{option.name}[ `]", row))
    if option.default is not None:
        assert str(option.default) in row.rpartition("|")[0].rpartition("|")[2]


def test_the_manual_has_no_option_that_there_is_not() -> None:
    known = {option.name for option in RUN_OPTIONS} | LIST_OPTIONS.keys()
    named = {name for row in ROWS for name in re.findall(r"`(--[a-z-]+)", row)}
    assert named <= known


def test_keys_of_the_configuration_file_follow_the_names() -> None:
    keys = {option.name: option.ini_key for option in RUN_OPTIONS}
    assert keys["--long-rows"] == "probes_long_rows"
    assert len(set(keys.values())) == len(RUN_OPTIONS)
