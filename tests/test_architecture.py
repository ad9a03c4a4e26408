"""The layers: imports point down, none are circular, and every name is given once."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.support.imports import (
    LAYERS,
    arrows,
    circle,
    module_files,
    package_of,
    uphill,
)
from tests.support.running import ROOT

FILES = module_files()


def test_no_import_points_up() -> None:
    assert uphill(arrows(FILES)) == []


def test_no_circle_closes() -> None:
    assert circle(arrows(FILES)) == []


def test_every_package_has_a_layer() -> None:
    packages = {package for layer in LAYERS for package in layer}
    assert {package_of(name) for name in FILES} - packages == {"probes", "__main__"}


@pytest.mark.parametrize(
    "line",
    [
        "from probes.engine.store import Store",
        "def late():\n    from probes.engine.store import Store",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
        "    from probes.engine.store import Store",
        "import probes.engine.store",
        "from probes.engine import store",
        "from ..engine.store import Store",
    ],
    ids=["plain", "lazy", "type-only", "dotted", "by package", "relative"],
)
def test_an_import_that_points_up_is_seen(line: str, tmp_path: Path) -> None:
    path = tmp_path / "tokens.py"
    path.write_text(line)
    files = FILES | {"probes.data.tokens": path}
    assert uphill(arrows(files)) == [("probes.data.tokens", "probes.engine.store")]


def test_packages_of_one_layer_do_not_import_each_other(tmp_path: Path) -> None:
    path = tmp_path / "verdict.py"
    path.write_text("from probes.measures import accuracy")
    files = FILES | {"probes.verdicts.verdict": path}
    assert uphill(arrows(files)) == [("probes.verdicts.verdict", "probes.measures")]


def test_a_circle_is_seen(tmp_path: Path) -> None:
    for name, other in (("one", "two"), ("two", "one")):
        (tmp_path / f"{name}.py").write_text(
            f"def f():\n    import probes.data.{other}"
        )
    files = {f"probes.data.{name}": tmp_path / f"{name}.py" for name in ("one", "two")}
    found = ["probes.data.one", "probes.data.two", "probes.data.one"]
    assert circle(arrows(files)) == found


def test_no_two_modules_share_a_name() -> None:
    modules = (path.stem for path in FILES.values() if path.stem != "__init__")
    names = Counter(modules)
    assert [name for name, n in names.items() if n > 1] == []


def test_no_two_modules_define_the_same_public_name() -> None:
    homes: dict[str, set[str]] = {}
    for module, path in FILES.items():
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                homes.setdefault(node.name, set()).add(module)
    shared = {
        name: sorted(modules)
        for name, modules in homes.items()
        if len(modules) > 1 and not name.startswith(("_", "pytest_"))
    }
    # Each sub-command of ``probes`` has these two.
    assert shared.keys() <= {"add_arguments", "run"}, shared


def test_no_test_imports_another() -> None:
    tests = module_files(ROOT / "tests")
    found = arrows({f"tests.{name}": path for name, path in tests.items()})
    assert [
        (module, target)
        for module, targets in found.items()
        for target in targets
        if target.rpartition(".")[2].startswith("test_")
    ] == []


def test_only_the_plugin_imports_pytest() -> None:
    importing = {
        name
        for name, path in FILES.items()
        if "import pytest" in path.read_text("utf-8")
    }
    assert {package_of(name) for name in importing} == {"pytest_plugin"}
