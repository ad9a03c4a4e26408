"""Formulas broken on purpose: one mutant of a function for each place it can be broken.

A function of a module is broken together with the helpers of the same module that it
calls. Guards (``if …: raise``) are left alone: what they refuse is tested elsewhere.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

OPERATORS: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.BitAnd: ast.BitOr
}  # fmt: skip
DROPPED = (ast.Div, ast.Mult, ast.Pow)
"""Of these only the left side is kept: a normalisation, factor or power is missing."""
CALLS = {"mean": "sum", "max": "min", "min": "max", "maximum": "minimum",
         "argmax": "argmin", "argmin": "argmax", "sum": "mean"}  # fmt: skip
SKIPPED = ("abs", "sqrt", "exp", "log", "sign", "square", "clip")
"""Functions of numpy whose argument is put where their value was."""
NAMES = {"FACTORS": "PRODUCTS", "PRODUCTS": "FACTORS"}
COMPARED: dict[type, type] = {
    ast.Gt: ast.LtE, ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip


Change = tuple[str, Callable[[ast.AST], None], ast.AST, ast.AST]
"""What is changed, in words; how to put a node there; the broken and the whole one."""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A broken function, and what was broken in it."""

    said: str
    function: Callable[..., Any]


def mutants(module: ModuleType, name: str) -> Iterator[Mutant]:
    """Break a function of a module in every single place."""
    tree = ast.parse(inspect.getsource(module))
    for said, put, broken, whole in _changes(tree, name):
        put(broken)
        code = compile(ast.fix_missing_locations(tree), said, "exec")
        put(whole)
        namespace: dict[str, Any] = {"__name__": module.__name__}
        exec(code, namespace)
        yield Mutant(said=said, function=namespace[name])
    yield from _swapped(getattr(module, name))


def _swapped(function: Callable[..., Any]) -> Iterator[Mutant]:
    """Swap each pair of arms that are given by position."""
    given = inspect.signature(function).parameters.values()
    arms = [p.name for p in given if p.kind is p.POSITIONAL_OR_KEYWORD]
    for i in range(len(arms)):
        for j in range(i + 1, len(arms)):

            def swapped(*args: Any, i: int = i, j: int = j, **more: Any) -> Any:
                mixed = list(args)
                mixed[i], mixed[j] = mixed[j], mixed[i]
                return function(*mixed, **more)

            yield Mutant(said=f"{arms[i]} ↔ {arms[j]}", function=swapped)


def _changes(tree: ast.Module, name: str) -> list[Change]:
    """List what can be broken in a function and in the helpers that it calls."""
    functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
    found: list[Change] = []
    for called in _reached(functions, name):
        _visit(functions[called], found)
    return found


def _reached(functions: dict[str, ast.FunctionDef], name: str) -> list[str]:
    """Name a function and the functions of its module that it calls."""
    reached = [name]
    for current in reached:
        for node in ast.walk(functions[current]):
            called = node.id if isinstance(node, ast.Name) else ""
            if called in functions and called not in reached:
                reached.append(called)
    return reached


def _visit(node: ast.AST, found: list[Change]) -> None:
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for place, child in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(child, ast.AST) or _is_guard(child):
                continue

            def put(new: ast.AST, at: Any = (node, field, value, place)) -> None:
                owner, named, old, index = at
                if isinstance(old, list):
                    old[index] = new
                else:
                    setattr(owner, named, new)

            for new in _broken(child):
                said = f"{ast.unparse(child)}  →  {ast.unparse(new)}"
                found.append((said, put, new, child))
            _visit(child, found)


def _is_guard(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.If) and isinstance(node.body[0], ast.Raise)
    )


def _broken(node: ast.AST) -> Iterator[ast.AST]:
    """Give what may replace an expression."""
    match node:
        case ast.BinOp(left=left, op=op, right=right):
            if type(op) in OPERATORS:
                yield ast.BinOp(left=left, op=OPERATORS[type(op)](), right=right)
            if isinstance(op, DROPPED):
                yield left
        case ast.UnaryOp(op=ast.USub() | ast.Invert(), operand=inner):
            if not isinstance(inner, ast.Constant):  # an axis is no sign
                yield inner
        case ast.Compare(left=left, ops=[op], comparators=right):
            if type(op) in COMPARED:
                yield ast.Compare(
                    left=left, ops=[COMPARED[type(op)]()], comparators=right
                )
        case ast.Call(func=ast.Attribute(value=value, attr=attr) as func):
            if attr in CALLS:
                other = ast.Attribute(value=value, attr=CALLS[attr], ctx=func.ctx)
                yield ast.Call(func=other, args=node.args, keywords=node.keywords)
            if attr in SKIPPED:
                yield node.args[0] if node.args else value
        case ast.Name(id=name) if name in NAMES:
            yield ast.Name(id=NAMES[name], ctx=node.ctx)
