"""``@claim``: turn a test function into a claim."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal, TypedDict, TypeVar, Unpack

from probes.claims.card import ClaimCard
from probes.claims.controls import controls_among
from probes.claims.judge_calls import calls_of_judge, refutation, require_margins
from probes.errors import ClaimError

Function = TypeVar("Function", bound=Callable[..., Any])


class ClaimOptions(TypedDict, total=False):
    """The options of ``@claim``; :class:`ClaimCard` says what each one means."""

    variants: tuple[str, ...]
    full_variants: tuple[str, ...]
    label_variants: tuple[str, ...]
    needs_icl: bool
    least_demonstrations: int
    layers: tuple[int, int] | None
    datasets: tuple[str, ...]
    identity: bool
    needs_pairs: bool
    needs_labels: bool
    formula: str
    reported: str


def claim(
    sentence: str = "",
    *,
    source: str = "",
    on: Literal["regression", "text"],
    controls: str = "",
    **options: Unpack[ClaimOptions],
) -> Callable[[Function], Function]:
    """Declare that a test judges a published claim.

    The catalogue's "refuted if" follows from the call of the judge. Its controls follow
    from the observations that the test asks for.

    Args:
        sentence: The claim, one full sentence that can be true or false.
        source: Paper and place.
        on: "regression" or "text".
        controls: Controls that are not observations, such as the models in the grid.
        options: Where it applies, and what the catalogue says (:class:`ClaimCard`).

    Raises:
        ClaimError: The sentence or the source is missing, the name is not a test's, or
            the body judges without a margin.
    """

    def attach(function: Function) -> Function:
        name = function.__name__
        _require_statement(name, sentence=sentence, source=source, on=on)
        calls = calls_of_judge(function)
        require_margins(name, calls)
        function.claim = ClaimCard(  # type: ignore[attr-defined]
            name=name.removeprefix("test_"),
            sentence=sentence,
            source=source,
            on=on,
            refuted_if=refutation(calls, is_identity=options.get("identity", False)),
            controls=controls_among(inspect.signature(function).parameters, controls),
            **options,
        )
        return function

    return attach


def _require_statement(name: str, *, sentence: str, source: str, on: str) -> None:
    """Refuse a claim that does not say what it claims, who claims it, or of what.

    Raises:
        ClaimError: The sentence, source, name or family of tasks is missing or wrong.
    """
    for what, text in (("sentence", sentence), ("source", source)):
        if not text.strip():
            raise ClaimError(
                f"The claim {name!r} has no {what}. Expected a claim to say what it "
                f"claims and who claims it. Pass {what}='…' to @claim."
            )
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
