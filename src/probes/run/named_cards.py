"""Lists of names on the command line, and what each entry is called in the rows.

``grid`` knows what a name stands for. An entry may carry a name of its own:
``--models first=path/to/checkpoint,second=other/checkpoint``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Container, Iterable
from dataclasses import replace
from typing import TypeVar

from probes.cards import DatasetCard, ModelCard
from probes.errors import OptionError

Either = TypeVar("Either", ModelCard, DatasetCard)


def cards_named(
    text: str,
    option: str,
    *,
    registered: Container[object],
    find: Callable[[str], Either],
) -> tuple[Either, ...]:
    """Read a list of names, each perhaps as alias=name; equal cards come once.

    Args:
        text: The list, separated by commas.
        option: The option that gives it, for messages.
        registered: Names that cannot be aliases.
        find: From a name to its card.

    Raises:
        OptionError: An entry is empty, or two different cards have one name.
        ProbesError: ``find`` raised it.
    """
    cards = []
    for given in entries_of(text, option):
        alias, name = split_alias(given, option, registered)
        card = find(name)
        cards.append(replace(card, name=alias) if alias else card)
    return _distinct(cards, option)


def split_alias(
    given: str, option: str, registered: Container[object]
) -> tuple[str, str]:
    """Split an entry of a list into the name that it is given and what it names.

    A path may contain an equals sign: without a name before the first one, or if there
    is such a path, the entry has no alias.

    Args:
        given: The entry.
        option: The option of the list, for the message.
        registered: Names that stand for something else.

    Returns:
        The alias, empty if there is none; and the rest.

    Raises:
        OptionError: The alias is a registered name, or names nothing.
    """
    alias, equals, place = given.partition("=")
    is_alias = alias.isidentifier() and alias.isascii() and not os.path.exists(given)
    if not equals or not is_alias:
        return "", given
    if alias in registered or not place:
        why = "names nothing" if not place else f"{alias!r} is a registered name"
        raise OptionError(
            f"{option} has {given!r}, but {why}. Expected a new name and a path, such "
            f"as mine=path/to/it. Choose another name, or leave it out."
        )
    return alias, place


def entries_of(text: str, option: str) -> list[str]:
    """Split a list at its commas.

    Raises:
        OptionError: An entry is empty.
    """
    names = [part.strip() for part in text.split(",")]
    if not all(names) or any("\0" in name for name in names):
        raise OptionError(
            f"{option} is {text!r}. Expected names separated by commas, none of them "
            f"empty. Pass for instance {option} first,second."
        )
    return names


def _distinct(cards: Iterable[Either], option: str) -> tuple[Either, ...]:
    distinct: dict[str, Either] = {}
    for card in cards:
        known = distinct.setdefault(card.name, card)
        if replace(known, summary="") != replace(card, summary=""):
            raise OptionError(
                f"Two different entries of {option} are both called {card.name!r}. "
                f"Expected different names, because the rows of a run contain them. "
                f"Name them: {option} first=path/to/one,second=path/to/other."
            )
    return tuple(distinct.values())


def identifier_for(short: str, given: str, registered: Container[object]) -> str:
    """Turn a folder's name into an identifier that is not registered."""
    kept = "".join(c if c.isalnum() and c.isascii() else "_" for c in short)
    name = kept if kept[:1].isalpha() else f"m_{kept}"
    if name in registered:
        name += "_" + hashlib.sha256(given.encode()).hexdigest()[:4]
    return name
