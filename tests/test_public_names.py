"""``import probes`` is fast, and its public names are listed alike everywhere."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import probes
from tests.support.running import environment

HEAVY = {"torch", "numpy", "scipy", "transformers", "pytest"}


def loaded_after(statement: str) -> set[str]:
    """Run a statement in a new process; return the heavy packages that it imports."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return HEAVY & set(done.stdout.split())


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import probes; dir(probes)", set()),
        ("from probes import claim, Cell, Settings, ModelCard, ProbesError", set()),
        ("from probes import Judge, Measurement, Observation", {"numpy", "scipy"}),
        ("from probes import *", HEAVY - {"torch", "transformers"}),
        ("import probes.cli.main", {"numpy"}),
    ],
)
def test_a_name_imports_no_more_than_it_needs(
    statement: str, allowed: set[str]
) -> None:
    assert loaded_after(statement) <= allowed


def typed_imports() -> dict[str, str]:
    """Read what the package imports for type checkers: name and module."""
    tree = ast.parse(Path(probes.__file__).read_text("utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    assert isinstance(block.test, ast.Name)
    assert block.test.id == "TYPE_CHECKING"
    return {
        alias.name: str(node.module)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_the_three_lists_of_public_names_agree() -> None:
    assert typed_imports() == probes.HOMES
    assert sorted(probes.__all__) == sorted(probes.HOMES)


@pytest.mark.parametrize("name", probes.__all__)
def test_a_public_name_is_the_thing_that_its_module_defines(name: str) -> None:
    assert getattr(probes, name) is getattr(sys.modules[probes.HOMES[name]], name)
    assert name in dir(probes)


def test_a_name_that_there_is_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Juge'"):
        _ = probes.Juge
