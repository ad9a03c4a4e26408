"""Which modules a module reaches by import, and a digest of their code.

Source is read as a syntax tree, without comments and docstrings. Nothing is run. The
search follows modules of this project, modules in the packages of the roots, and
modules that are not installed. It stops at the standard library and at packages that
pip installed; ``library_versions`` gives the versions of these.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from probes.errors import OptionError
from probes.library_versions import versions_of

OURS = frozenset({"probes", "probes_fixtures"})
STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))


BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")
"""Where a statement has statements inside."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """The source of one module.

    Attributes:
        digest: Hash of its syntax tree without docstrings.
        is_package: Whether it is the ``__init__`` of a package.
        imports: What it imports when it is loaded or when a function runs, as (module,
            name).
        exports: For a package, the names it imports, as (name, module).
    """

    digest: str
    is_package: bool
    imports: tuple[tuple[str, str], ...]
    exports: tuple[tuple[str, str], ...]


@lru_cache(maxsize=4096)
def code_digest(roots: frozenset[str]) -> str:
    """Hash the code of modules and of everything that they reach by import."""
    hashed = hashlib.sha256()
    for name in sorted(reached_from(roots)):
        source = _read(name)
        assert source is not None
        hashed.update(f"{name}:{source.digest}\n".encode())
    return hashed.hexdigest()[:32]


def reached_from(roots: Iterable[str]) -> frozenset[str]:
    """List the modules that are reached by import, including the roots.

    The import of a name from a package leads to the module that defines the name, not
    to the package's other modules.
    """
    reached: set[str] = set()
    waiting = [name for name in roots if _read(name) is not None]
    packages = OURS | {name.partition(".")[0] for name in waiting}
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        waiting += _followed(name, packages)
    return frozenset(reached)


@lru_cache(maxsize=4096)
def libraries_reached(roots: frozenset[str]) -> frozenset[str]:
    """List the installed packages that are reached by import, by the name imported.

    The standard library is left out. A root may itself be in such a package.
    """
    tops = {name.partition(".")[0] for name in roots}
    for module in reached_from(roots):
        source = _read(module)
        assert source is not None
        tops |= {home.partition(".")[0] for home, _ in source.imports}
    tops -= {"", *OURS, *sys.stdlib_module_names}
    return frozenset(top for top in tops if _is_installed(top))


def require_source(kind: type) -> None:
    """Make sure that the source of a class is what a digest of its module reads.

    Raises:
        OptionError: A class from elsewhere has no source, or another module has since
            taken the name of its module.
    """
    module = kind.__module__
    package = module.partition(".")[0]
    if package in OURS:
        return
    path, defined = _file_of(module), _file_defining(kind)
    if path is None:
        why = "" if versions_of([package]) else "whose source is in no file"
    elif defined is not None and path.resolve() != defined.resolve():
        why = f"but the module {module!r} is now {path}"
    else:
        why = ""
    if why:
        raise OptionError(
            f"The learner {kind.__qualname__} is defined in {defined or module}, "
            f"{why}. Expected one file, because the key of a stored answer covers the "
            f"learner's code. Put it into a module whose name no other has."
        )


def _file_defining(kind: type) -> Path | None:
    """Find the file in which a class was written, by the code of its methods."""
    for member in vars(kind).values():
        code = getattr(inspect.unwrap(member), "__code__", None)
        if code is not None and not code.co_filename.startswith("<"):
            return Path(code.co_filename)
    return None


def imported_names(
    tree: ast.Module, module: str, *, is_package: bool, with_types: bool = False
) -> Iterator[tuple[str, str]]:
    """Yield every import of a syntax tree as (module, name); the name may be empty.

    Args:
        tree: The syntax tree of a module.
        module: Its dotted name, for relative imports.
        is_package: Whether it is the ``__init__`` of a package.
        with_types: Whether to include imports under ``if TYPE_CHECKING:``.
    """
    for node in _running(tree, with_types=with_types):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            home = _absolute(node, module, is_package=is_package)
            yield from ((home, alias.name) for alias in node.names)


def _followed(module: str, packages: frozenset[str]) -> Iterator[str]:
    source = _read(module)
    assert source is not None
    for home, name in source.imports:
        top = home.partition(".")[0]
        if top in packages or not _is_installed(top):
            target = _defining(home, name)
            if target is not None:
                yield target


def _defining(home: str, name: str) -> str | None:
    """Find the module that defines a name, through packages that export it."""
    source = _read(home)
    if source is None:
        is_module = bool(name and _folders_of(home)) and _read(f"{home}.{name}")
        return f"{home}.{name}" if is_module else None
    # Only a package can have modules inside; find_spec would import a plain module.
    if source.is_package and name and _read(f"{home}.{name}") is not None:
        return f"{home}.{name}"
    origin = dict(source.exports).get(name, home)
    return home if origin == home else _defining(origin, name)


def _absolute(node: ast.ImportFrom, module: str, *, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    above = parts[: len(parts) - node.level + is_package]
    return ".".join([*above, *filter(None, [node.module])])


def _running(tree: ast.AST, *, with_types: bool) -> Iterator[ast.AST]:
    """Yield the statements of a tree, without those that only a type checker reads."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        blocks: tuple[str, ...] = BLOCKS
        if isinstance(node, ast.If) and _is_for_types(node) and not with_types:
            blocks = ("orelse",)
        for name in blocks:
            waiting += getattr(node, name, ())


def _is_for_types(node: ast.If) -> bool:
    test = node.test
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


@cache
def _read(module: str) -> Source | None:
    path = _file_of(module)
    if path is None:
        return None
    tree = ast.parse(path.read_bytes())
    is_package = path.name == "__init__.py"
    imports = tuple(imported_names(tree, module, is_package=is_package))
    exports: tuple[tuple[str, str], ...] = ()
    if is_package:
        names = imported_names(tree, module, is_package=True, with_types=True)
        exports = tuple((name, home) for home, name in names if name)
    _drop_docstrings(tree)
    digest = hashlib.sha256(ast.dump(tree).encode()).hexdigest()
    return Source(
        digest=digest, is_package=is_package, imports=imports, exports=exports
    )


@cache
def _file_of(module: str) -> Path | None:
    """Find the source file of a module; None if it has none."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        spec = None
    # A script, a notebook or a module made by hand has a file and no usable spec.
    loaded = getattr(sys.modules.get(module), "__file__", None)
    origin = loaded if spec is None else spec.origin
    return Path(origin) if origin is not None and origin.endswith(".py") else None


@cache
def _is_installed(package: str) -> bool:
    """Say whether a top-level package is Python's own, or was put there by pip.

    pip writes a .dist-info folder next to what it installs. The folder's own name says
    less: ``pip install --target`` takes any, and environments share folders.
    """
    path = _file_of(package)
    if path is None:
        homes = [folder.parent for folder in _folders_of(package)]
        return not homes or any(map(_holds_installed, homes))
    if path.is_relative_to(STANDARD_LIBRARY):
        return True
    return _holds_installed(
        path.parents[1] if path.name == "__init__.py" else path.parent
    )


def _holds_installed(folder: Path) -> bool:
    return next(folder.glob("*.dist-info"), None) is not None


def _folders_of(package: str) -> list[Path]:
    """List the folders of a namespace package, which has no ``__init__``."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError, AttributeError):
        return []
    places = None if spec is None else spec.submodule_search_locations
    return [Path(place) for place in places or ()]


def _drop_docstrings(tree: ast.Module) -> None:
    """Remove every docstring, including those after a constant or a field."""
    for node in _running(tree, with_types=True):
        for name in BLOCKS:
            if block := getattr(node, name, ()):
                setattr(node, name, [part for part in block if not _is_text(part)])


def _is_text(node: ast.AST) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)
