"""The set-ups of published studies: values of options, and claims, under one name.

``fixtures/setups.py`` registers them. ``ini_options`` fills options from a set-up, and
``grid`` takes its claims from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from probes.errors import UnknownNameError
from probes.registry import Registry


@dataclass(frozen=True, kw_only=True)
class SetupValue:
    """A value that a set-up gives to an option.

    Attributes:
        option: The option, such as ``--orders``.
        value: Its value, as on the command line.
        source: The table, figure or section of the study; or, where the study does not
            say, why this value was chosen.
    """

    option: str
    value: str
    source: str


@dataclass(frozen=True, kw_only=True)
class SetupClaim:
    """A claim that a set-up judges.

    Attributes:
        name: The claim's name.
        variants: Its variants; empty if it has none.
        demonstrations: Numbers of demonstrations of this claim alone; empty for those
            of the run.
        source: What of the study it repeats.
    """

    name: str
    variants: tuple[str, ...] = ()
    demonstrations: tuple[int, ...] = ()
    source: str


@dataclass(frozen=True, kw_only=True)
class Setup:
    """The set-up of a published study.

    Attributes:
        name: Identifier, as in ``--setup``.
        summary: The study, in one line.
        values: Values of options.
        claims: The claims that are judged; no others are.
        choices: What the study leaves open, or does otherwise, and what is done here.
    """

    name: str
    summary: str
    values: tuple[SetupValue, ...]
    claims: tuple[SetupClaim, ...]
    choices: tuple[str, ...] = ()

    def claim_named(self, name: str) -> SetupClaim | None:
        """Return one of its claims; None if it does not judge this one."""
        return next((claim for claim in self.claims if claim.name == name), None)

    def at_given_numbers(self) -> Setup:
        """Judge every claim at the numbers of demonstrations of the run."""
        claims = tuple(replace(claim, demonstrations=()) for claim in self.claims)
        return replace(self, claims=claims)


SETUPS: Registry[Setup] = Registry("setup")


def setup_named(name: str) -> Setup:
    """Find a set-up.

    Raises:
        UnknownNameError: There is none of this name; the message lists all.
    """
    if name in SETUPS:
        return SETUPS.get(name)
    known = [setup.name for setup in SETUPS]
    expected = f"one of: {', '.join(sorted(known))}"
    raise UnknownNameError.of("set-up", name, known, expected=expected)


def setup_of(option: Any) -> Setup | None:
    """Return the set-up of a run; None without one.

    If the numbers of demonstrations were given, they hold for all of its claims.

    Args:
        option: Parsed options.
    """
    name = getattr(option, "setup", None)
    if name is None:
        return None
    setup = setup_named(name)
    return setup if "demos" in filled_by(option) else setup.at_given_numbers()


def filled_by(option: Any) -> Mapping[str, Any]:
    """Return the options that the set-up of a run has filled, by attribute."""
    filled: Mapping[str, Any] = getattr(option, "filled_by_setup", {})
    return filled


def setup_facts(option: Any, left_out: Mapping[str, str]) -> dict[str, str]:
    """Say which set-up a run has, its values, and what was changed; empty without one.

    Args:
        option: Parsed options.
        left_out: Options whose value of the set-up does not apply, and why.
    """
    setup = setup_of(option)
    if setup is None:
        return {}
    facts = {"name": setup.name, "study": setup.summary}
    filled = filled_by(option)
    for each in setup.values:
        attribute = each.option.removeprefix("--").replace("-", "_")
        if attribute not in filled:
            given = getattr(option, attribute)
            facts[f"changed {each.option}"] = f"{given} instead of {each.value}"
        elif attribute in left_out:
            facts[f"left out {each.option}"] = f"{each.value}: {left_out[attribute]}"
        else:
            facts[each.option] = each.value
    return facts


def describe_setup(setup: Setup) -> str:
    """Write a set-up for a list: its values, its claims, and what is chosen here."""
    lines = [setup.name, f"    {setup.summary}"]
    lines += [f"    {v.option} {v.value}: {v.source}" for v in setup.values]
    for claim in setup.claims:
        variants = f" [{', '.join(claim.variants)}]" if claim.variants else ""
        numbers = ", ".join(map(str, claim.demonstrations))
        at = f", {numbers} demonstrations" if numbers else ""
        lines.append(f"    {claim.name}{variants}{at}: {claim.source}")
    return "\n".join([*lines, *(f"    {choice}" for choice in setup.choices)])
