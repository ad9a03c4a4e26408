"""What a claim says of itself, attached to its test function by ``@claim``."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from probes.cards import DatasetCard, Family, GridSize, ModelCard
from probes.errors import ClaimError

Function = TypeVar("Function", bound=Callable[..., Any])
JUDGING = (
    "agrees",
    "exceeds",
    "exceeds_in_whole",
    "is_nearest",
    "reaches_ceiling",
    "stays_below",
    "vanishes",
)
"""The methods of a judge that decide; each needs a margin."""


@dataclass(frozen=True, kw_only=True)
class ClaimCard:
    """A published sentence and where it can be tested.

    Attributes:
        name: The catalogue's id: the test's name without ``test_``.
        sentence: The claim, in words.
        source: Paper and place, with who disputes it.
        on: The family of tasks.
        variants: Named variants, each a cell of its own (an optimiser, a sub-model).
        full_variants: Further ones, which only ``--grid full`` runs.
        needs_icl: Not applicable where the demonstrations teach the model nothing.
        least_demonstrations: Below it the claim says nothing: one has no order.
        layers: How many layers the network must have: (lowest, highest); None: any.
        datasets: The datasets it is stated for; empty means every one of the family.
        identity: True of any network, whatever it learned: evidence of nothing.
        needs_pairs: Only for linear self-attention on tokens (x, y).
        formula: What is measured, in symbols or words.
        refuted_if: What the measurement would have to show to refute the claim.
        controls: What the measurement is compared with, so that it means something.
        reported: What the papers found; "not measured" where they did not look.
    """

    name: str
    sentence: str
    source: str
    on: Family
    variants: tuple[str, ...] = ()
    full_variants: tuple[str, ...] = ()
    needs_icl: bool = False
    least_demonstrations: int = 1
    layers: tuple[int, int] | None = None
    datasets: tuple[str, ...] = ()
    identity: bool = False
    needs_pairs: bool = False
    formula: str = ""
    refuted_if: str = ""
    controls: str = ""
    reported: str = ""

    def applies_to(self, model: ModelCard, dataset: DatasetCard) -> bool:
        """Say whether the cell can exist: the families, layers and data fit."""
        if dataset.family != self.on or not model.answers(dataset):
            return False
        if self.needs_pairs and not model.attends_to_pairs:
            return False
        if self.datasets and dataset.name not in self.datasets:
            return False
        if self.layers is None:
            return True
        return self.layers[0] <= (model.n_layers or 0) <= self.layers[1]

    def variants_of(self, size: GridSize) -> tuple[str | None, ...]:
        """List the variants that a grid of a size runs; (None,) if there are none."""
        more = self.full_variants if size == "full" else ()
        return (*self.variants, *more) or (None,)

    def id_of(self, variant: str | None) -> str:
        """Name the claim in rows and records: ``name`` or ``name[variant]``."""
        return self.name if variant is None else f"{self.name}[{variant}]"


def claim(
    sentence: str = "",
    *,
    source: str = "",
    on: Literal["regression", "text"],
    variants: tuple[str, ...] = (),
    full_variants: tuple[str, ...] = (),
    needs_icl: bool = False,
    least_demonstrations: int = 1,
    layers: tuple[int, int] | None = None,
    datasets: tuple[str, ...] = (),
    identity: bool = False,
    needs_pairs: bool = False,
    formula: str = "",
    refuted_if: str = "",
    controls: str = "",
    reported: str = "",
) -> Callable[[Function], Function]:
    """Declare that a test judges a published claim.

    Args:
        sentence: The claim, one full sentence that can be true or false.
        source: Paper and place.
        on: "regression" or "text".
        variants: Each becomes a cell of its own; observations read ``cell.variant``.
        full_variants: Further ones that are too many for every run.
        needs_icl: Judge only where demonstrations demonstrably teach the model.
        least_demonstrations: Judge no cell with fewer.
        layers: Lowest and highest number of layers of the networks it speaks of.
        datasets: Names of the datasets it is stated for; empty for all.
        identity: Whether it holds by algebra of any network, trained or not, so that
            nobody counts it as support.
        needs_pairs: Judge only linear self-attention on tokens (x, y).
        formula: What is measured; this and the next three fill the catalogue page.
        refuted_if: What would refute it.
        controls: What the measurement is compared with.
        reported: What the papers found.

    Raises:
        ClaimError: The sentence or the source is missing, the name is no test,
            or the body judges without a margin.
    """

    def attach(function: Function) -> Function:
        name = function.__name__
        for what, text in (("sentence", sentence), ("source", source)):
            if not text.strip():
                raise ClaimError(
                    f"The claim {name!r} has no {what}. Expected a claim to say what "
                    f"it claims and who claims it. Pass {what}='…' to @claim."
                )
        if not name.startswith("test_"):
            raise ClaimError(
                f"The claim {name!r} is not named as a test. Expected test_…, which "
                f"pytest collects. Rename it test_{name}."
            )
        if on not in ("regression", "text"):
            raise ClaimError(
                f"The claim {name!r} is on={on!r}. Expected 'regression' or 'text'. "
                f"Name the family of tasks it speaks of."
            )
        _require_margins(function)
        card = ClaimCard(
            name=name.removeprefix("test_"),
            sentence=sentence,
            source=source,
            on=on,
            variants=tuple(variants),
            full_variants=tuple(full_variants),
            needs_icl=needs_icl,
            least_demonstrations=least_demonstrations,
            layers=layers,
            datasets=tuple(datasets),
            identity=identity,
            needs_pairs=needs_pairs,
            formula=formula,
            refuted_if=refuted_if,
            controls=controls,
            reported=reported,
        )
        function.claim = card  # type: ignore[attr-defined]
        return function

    return attach


def _require_margins(function: Callable[..., Any]) -> None:
    """Refuse a claim that judges without a margin, before anything is measured.

    Raises:
        ClaimError: A call such as ``judge.agrees(x)`` names no margin.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError, TypeError):
        return  # no source to read: the call itself will tell
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="judge"), attr=method),
                keywords=given,
            ) if method in JUDGING:
                # A ** may hold the margin, and has no name of its own.
                if not {"margin", None} & {keyword.arg for keyword in given}:
                    raise ClaimError(
                        f"The claim {function.__name__!r} calls judge.{method} without "
                        f"a margin. Expected the largest effect that does not matter, "
                        f"stated before the run. Pass margin=… and say why."
                    )
