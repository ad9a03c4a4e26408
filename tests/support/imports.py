"""The imports of the source tree, lazy and type-only ones included."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path

from probes.source_code import imported_names
from tests.support.running import ROOT

SOURCE = ROOT / "src"
Arrows = dict[str, set[str]]

LAYERS = (
    ("errors", "hashing", "bounded_io", "library_versions", "source_code"),
    ("cards",),
    ("cell", "registry", "measurement", "claims"),
    ("data",),
    ("models",),
    ("observations",),
    ("learners", "measures", "verdicts"),
    ("engine", "results"),
    ("report", "calibration"),
    ("run",),
    ("cli", "pytest_plugin"),
)
"""The packages of ``src/probes`` in layers, the lowest first. A package may import
lower layers only, and packages of one layer do not import each other. In the lowest
three layers, most are single modules, which may import each other."""
MODULES = frozenset(package for layer in LAYERS[:3] for package in layer)
PUBLIC = ("probes", "probes.__main__")
"""The public face and the command: they hand on what lies below and import anything."""


def module_files(source: Path = SOURCE) -> dict[str, Path]:
    """Name the modules below a folder; a package is its ``__init__``."""
    files = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


def arrows(files: Mapping[str, Path]) -> Arrows:
    """Give the modules that each module imports, among those given."""
    found: Arrows = {}
    for name, path in files.items():
        tree = ast.parse(path.read_text("utf-8"))
        is_package = path.name == "__init__.py"
        names = imported_names(tree, name, is_package=is_package, with_types=True)
        targets = {f"{home}.{part}" if part else home for home, part in names}
        homes = {home for home, _ in names_of(targets)}
        found[name] = {t for t in targets | homes if t in files and t != name}
        # An import of a module through its package leads to the module alone.
        found[name] -= {home for t in found[name] for home in [t.rpartition(".")[0]]}
    return found


def names_of(targets: Iterable[str]) -> list[tuple[str, str]]:
    """Split dotted names into the module and the name in it."""
    return [(t.rpartition(".")[0], t.rpartition(".")[2]) for t in targets]


def package_of(module: str) -> str:
    """Name the package below ``probes``, or the module, that a module belongs to."""
    return module.split(".")[1] if "." in module else module


def layer_of(package: str) -> int:
    """Count the layers below a package."""
    (layer,) = (n for n, packages in enumerate(LAYERS) if package in packages)
    return layer


def uphill(found: Arrows) -> list[tuple[str, str]]:
    """List the arrows between packages that do not point down."""
    return sorted(
        (start, end)
        for start, ends in found.items()
        for end in ends
        if start not in PUBLIC
        and not _is_allowed(package_of(start), package_of(end), end)
    )


def _is_allowed(start: str, end: str, module: str) -> bool:
    if module in PUBLIC:
        return False
    if start == end:
        return True
    below, above = layer_of(end), layer_of(start)
    return below < above or (below == above and {start, end} <= MODULES)


def circle(found: Arrows) -> list[str]:
    """Find modules that import one another in a circle; empty if there is none."""
    done: set[str] = set()
    path: list[str] = []

    def walk(module: str) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        path.append(module)
        for target in sorted(found.get(module, ())):
            if closed := walk(target):
                return closed
        done.add(path.pop())
        return []

    return next((closed for module in sorted(found) if (closed := walk(module))), [])
