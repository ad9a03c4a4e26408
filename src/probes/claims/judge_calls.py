"""Read a claim's own code: how it judges, and so what would refute it.

The claim's syntax tree is read when its file is imported; nothing is run.
"""

from __future__ import annotations

import ast
import inspect
import operator
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from probes.errors import ClaimError

SAMPLED = {
    "agrees": "the mean difference lies beyond ±{margin}",
    "exceeds": "the mean advantage is below {margin}",
    "exceeds_in_whole": "the mean advantage is below {margin}",
    "is_nearest": "GD is further from ICL than the nearest other by more than {margin}",
    "reaches_ceiling": "the learner comes less than {share} of the way from floor to "
    "ceiling",
    "stays_below": "the mean is above {margin}",
    "vanishes": "the mean is above {margin}",
}
"""What refutes a claim, by the method of the judge that decides it."""
EXACT = {
    "is_nearest": "the largest distance from GD is above {tolerance}",
    "vanishes": "the largest value is above {tolerance}",
}
"""What refutes it where algebra decides: constructed networks, and identities."""
OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
"""The arithmetic that a margin may contain."""


@dataclass(frozen=True, kw_only=True)
class JudgeCall:
    """One call such as ``judge.agrees(difference, margin=0.1)``.

    Attributes:
        method: The method of the judge.
        margin: Its value; its source text if it is not a plain number; None if missing.
        tolerance: The same of the rounding error.
    """

    method: str
    margin: float | str | None
    tolerance: float | str | None


def calls_of_judge(function: Callable[..., Any]) -> list[JudgeCall]:
    """Find the calls by which a claim judges; none if there is no source to read."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError, TypeError):
        return []
    known = function.__globals__
    return [
        JudgeCall(
            method=method,
            margin=_argument("margin", keywords, known),
            tolerance=_argument("tolerance", keywords, known),
        )
        for method, keywords in _calls(tree)
        if method in SAMPLED
    ]


def _calls(tree: ast.AST) -> list[tuple[str, list[ast.keyword]]]:
    """List the methods of ``judge`` that some code calls, with their keywords."""
    return [
        (node.func.attr, node.keywords)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "judge"
    ]


def _argument(
    name: str, keywords: Sequence[ast.keyword], known: Mapping[str, Any]
) -> float | str | None:
    """Read one keyword; a ``**`` may hold it, and then nobody knows its value."""
    for keyword in keywords:
        if keyword.arg == name:
            value = _value(keyword.value, known)
            return ast.unparse(keyword.value) if value is None else value
    return name if any(keyword.arg is None for keyword in keywords) else None


def _value(node: ast.expr, known: Mapping[str, Any]) -> float | None:
    """Compute a number from literals and the module's constants, without running it."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.Name(id=name):
            constant = known.get(name)
            return constant if isinstance(constant, int | float) else None
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            a, b = _value(left, known), _value(right, known)
            return None if a is None or b is None else OPERATORS[type(op)](a, b)
    return None


def require_margins(name: str, calls: Sequence[JudgeCall]) -> None:
    """Refuse a claim that judges without a margin, before anything is measured.

    Raises:
        ClaimError: A call such as ``judge.agrees(x)`` names no margin.
    """
    for call in calls:
        if call.margin is None:
            raise ClaimError(
                f"The claim {name!r} calls judge.{call.method} without a margin. "
                f"Expected the largest effect that does not matter, stated before the "
                f"run. Pass margin=… and say why."
            )


def refutation(calls: Sequence[JudgeCall], *, is_identity: bool) -> str:
    """Say what would refute a claim; empty if its code does not show how it judges."""
    return "; or ".join(dict.fromkeys(_refutation(c, is_identity) for c in calls))


def _refutation(call: JudgeCall, is_identity: bool) -> str:
    words = {"margin": _text(call.margin), "tolerance": _text(call.tolerance)}
    words["share"] = (
        f"{1 - call.margin:.0%}"
        if isinstance(call.margin, int | float)
        else f"1 − {call.margin}"
    )
    sampled = SAMPLED[call.method].format(**words)
    if not call.tolerance or call.method not in EXACT:
        return sampled
    exact = EXACT[call.method].format(**words)
    if is_identity:
        return f"{exact}, on any network"
    return f"on constructed networks, {exact}; on others, {sampled}"


def _text(number: float | str | None) -> str:
    return f"{number:g}" if isinstance(number, int | float) else str(number)
