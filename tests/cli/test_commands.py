"""The command ``probes``: it explains itself and says what cannot be used."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest

from probes.cli.main import COMMANDS, UNUSABLE, command_parser, main

BAD = {
    "store": ("--store", "nowhere", "list"),
    "compare": ("nowhere.jsonl", "nowhere.jsonl"),
    "report": ("figures", "nowhere.jsonl", "figures"),
    "prompt": ("nowhere", "antonym"),
    "models": ("fetch", "nowhere"),
    "calibrate": ("--redraw", "--folder", "nowhere"),
    "catalogue": ("nowhere.py",),
}


def parsers_in(
    parser: argparse.ArgumentParser,
) -> Iterator[tuple[argparse.ArgumentParser, str | None]]:
    """Give a parser and those of its sub-commands, each with its line in the list."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            lines = {choice.dest: choice.help for choice in action._choices_actions}
            for name, inner in action.choices.items():
                yield inner, lines.get(name)
                yield from parsers_in(inner)


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for name, summary in COMMANDS.items():
        assert f"{name} {summary}" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_every_argument_of_it_explains_itself(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    assert capsys.readouterr().out.startswith(f"usage: probes {name}")
    own = [inner for inner in parsers_in(command_parser(name)) if name in inner[0].prog]
    assert own
    for parser, line in own:
        assert line, parser.prog
        assert parser.description, parser.prog
        for action in parser._actions:
            explained = action.help or isinstance(action, argparse._SubParsersAction)
            assert explained, f"{parser.prog} {action.dest}"


@pytest.mark.parametrize("words", [["stor"], [], ["store", "empty"]])
def test_an_unknown_or_missing_command_exits_with_2(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert "usage: probes" in capsys.readouterr().err


def test_there_is_an_unusable_argument_for_every_command() -> None:
    assert BAD.keys() == COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_what_cannot_be_used_exits_with_4_and_one_message(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([name, *BAD[name]]) == UNUSABLE == 4
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "nowhere" in shown.err
    assert "Expected" in shown.err
    assert "Traceback" not in shown.err
