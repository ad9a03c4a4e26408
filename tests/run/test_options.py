"""Every option explains itself, and the manual lists all of them."""

from __future__ import annotations

import re

import pytest

from probes.pytest_plugin.start import pytest_addoption
from probes.run.listing import LIST_OPTIONS
from probes.run.option_help import options_in_full
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


@pytest.mark.parametrize("option", RUN_OPTIONS, ids=lambda option: option.name)
def test_the_short_help_is_one_clause(option: RunOption) -> None:
    assert len(option.short_help) < 200
    assert option.help.startswith(option.short_help.partition(" (default")[0])


def test_the_full_help_explains_every_option() -> None:
    text = " ".join(options_in_full().split())
    for option in RUN_OPTIONS:
        assert f"{option.name} " in text
        assert option.full_help in text


def test_help_begins_with_the_options_of_a_run() -> None:
    from _pytest.config.argparsing import Parser

    parser = Parser(_ispytest=True)
    parser.getgroup("general").addoption("--other", help="of pytest")
    pytest_addoption(parser)
    text = parser.optparser.format_help()
    assert text.index("gradient descent?:") < text.index("general:")


def test_keys_of_the_configuration_file_follow_the_names() -> None:
    keys = {option.name: option.ini_key for option in RUN_OPTIONS}
    assert keys["--long-rows"] == "probes_long_rows"
    assert len(set(keys.values())) == len(RUN_OPTIONS)
