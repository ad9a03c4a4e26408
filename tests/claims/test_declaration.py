"""What a claim's code already says, its decorator does not repeat."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import probes_fixtures
import pytest

from probes.claims import ClaimCard, claim
from probes.claims.controls import CONTROLS
from probes.claims.judge_calls import SAMPLED
from probes.errors import ClaimError
from probes.pytest_plugin.fixtures import judge as a_fixture
from probes.verdicts.judge import Judge

WIDE = 0.25


def declared(function: Any, **options: Any) -> ClaimCard:
    function.__doc__ = function.__doc__ or "S.\n\nSource: s"
    card: ClaimCard = claim(on="text", **options)(function).claim
    return card


def test_the_margin_in_the_code_is_the_one_in_the_catalogue() -> None:
    def test_it(icl: Any, judge: Any) -> None:
        judge.agrees(icl, margin=WIDE * 2)

    assert declared(test_it).refuted_if == "the mean difference lies beyond ±0.5"


def test_a_share_of_the_way_is_written_as_a_share() -> None:
    def test_it(icl: Any, judge: Any) -> None:
        judge.reaches_ceiling(icl, floors={}, ceiling=icl, margin=WIDE)

    assert "less than 75% of the way" in declared(test_it).refuted_if


def test_constructed_networks_have_a_bound_of_their_own() -> None:
    def test_it(icl: Any, judge: Any) -> None:
        judge.vanishes(icl, tolerance=1e-12, margin=WIDE)

    card, identity = declared(test_it), declared(test_it, identity=True)
    assert "constructed networks, the largest value is above 1e-12" in card.refuted_if
    assert card.refuted_if.endswith("on others, the mean is above 0.25")
    assert identity.refuted_if == "the largest value is above 1e-12, on any network"


def test_a_margin_that_is_no_number_is_quoted() -> None:
    def test_it(icl: Any, limit: Any, judge: Any) -> None:
        judge.exceeds(icl, margin=limit)

    assert declared(test_it).refuted_if == "the mean advantage is below limit"


def test_a_claim_without_a_margin_is_refused() -> None:
    def test_it(icl: Any, judge: Any) -> None:
        judge.exceeds(icl)

    with pytest.raises(ClaimError, match=r"calls judge\.exceeds without a margin"):
        declared(test_it)


def test_controls_are_the_observations_asked_for_and_each_is_named_once() -> None:
    def test_it(icl: Any, base: Any, arms: Any, judge: Any) -> None:
        judge.exceeds(icl, margin=WIDE)

    test_it.__doc__ = "S.\n\nSource: s\n\nControls: chance"
    controls = declared(test_it).controls.split("; ")
    assert controls[:2] == ["chance", "the untouched model"]
    assert len(controls) == len(set(controls))


def test_every_control_is_an_observation_that_a_claim_may_ask_for() -> None:
    names = [
        m.name for m in pkgutil.iter_modules(probes_fixtures.__path__) if not m.ispkg
    ]
    modules = [importlib.import_module(f"probes_fixtures.{name}") for name in names]
    offered = {
        name
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type(a_fixture))
    }
    assert not set(CONTROLS) - offered


def test_every_method_that_judges_is_a_method_of_the_judge() -> None:
    assert not [method for method in SAMPLED if not hasattr(Judge, method)]
