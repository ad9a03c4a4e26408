"""``@claim``: turn a test function into a claim."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal, TypedDict, TypeVar, Unpack

from probes.claims.card import ClaimCard
from probes.claims.controls import controls_among
from probes.claims.docstring import read_docstring
from probes.claims.judge_calls import calls_of_judge, refutation, require_margins
from probes.errors import ClaimError

Function = TypeVar("Function", bound=Callable[..., Any])


class ClaimOptions(TypedDict, total=False):
    """The options of ``@claim``; :class:`ClaimCard` says what each one means."""

    variants: tuple[str, ...]
    full_variants: tuple[str, ...]
    needs_icl: bool
    least_demonstrations: int
    layers: tuple[int, int] | None
    datasets: tuple[str, ...]
    identity: bool
    needs_pairs: bool
    nearest_in: str
    stand_in: str
    needs_labels: bool
    needs_reversal: bool


def claim(
    *, on: Literal["regression", "text"], **options: Unpack[ClaimOptions]
) -> Callable[[Function], Function]:
    """Declare that a test judges a published claim.

    The test's docstring states the claim: the sentence first, then the sections
    ``Title``, ``Source``, ``Measured``, ``Reported``, ``Controls`` and ``Margin``, of
    which only the source is required. The catalogue's "refuted if" follows from the
    call of the judge. Controls that the test asks for as observations are listed
    without being named again.

    Args:
        on: "regression" or "text".
        options: Where the claim applies (:class:`ClaimCard`).

    Raises:
        ClaimError: The docstring cannot be read (:func:`read_docstring`), the name is
            not a test's, or the body judges without a margin.
    """

    def attach(function: Function) -> Function:
        name = function.__name__
        _require_test(name, on)
        text = read_docstring(name, function.__doc__)
        calls = calls_of_judge(function)
        require_margins(name, calls)
        observations = inspect.signature(function).parameters
        function.claim = ClaimCard(  # type: ignore[attr-defined]
            name=name.removeprefix("test_"),
            on=on,
            sentence=text.sentence,
            title=text.title,
            source=text.source,
            measured=text.measured,
            reported=text.reported,
            margin=text.margin,
            refuted_if=refutation(calls, is_identity=options.get("identity", False)),
            controls=controls_among(observations, text.controls),
            **options,
        )
        return function

    return attach


def _require_test(name: str, on: str) -> None:
    """Refuse a claim that pytest does not collect, or that names no family of tasks."""
    if not name.startswith("test_"):
        raise ClaimError(
            f"The claim {name!r} is not named as a test. Expected test_…, which pytest "
            f"collects. Rename it test_{name}."
        )
    if on not in ("regression", "text"):
        raise ClaimError(
            f"The claim {name!r} is on={on!r}. Expected 'regression' or 'text'. Name "
            f"the family of tasks that it is about."
        )
