"""Registries map names to cards. One each for models, datasets and set-ups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from probes.errors import OptionError, UnknownNameError


class Named(Protocol):
    """Anything with a name."""

    @property
    def name(self) -> str:
        """The identifier under which it is registered."""


Card = TypeVar("Card", bound=Named)


class Registry(Generic[Card]):
    """Cards by name.

    Args:
        what: What it registers, for messages: "model", "dataset" or "setup".
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._cards: dict[str, Card] = {}

    def add(self, card: Card) -> Card:
        """Register a card under its own name.

        Raises:
            OptionError: The name is not an identifier, or it is already registered.
        """
        if not card.name.isidentifier():
            raise OptionError(
                f"The {self.what} name {card.name!r} is no identifier. Expected "
                f"letters, digits and underscores, because hyphens join the names in "
                f"the id of a cell. Rename it, for instance {_identifier(card.name)!r}."
            )
        if card.name in self._cards:
            raise OptionError(
                f"The {self.what} {card.name!r} is registered twice. Expected one card "
                f"for each name. Rename one of the two."
            )
        self._cards[card.name] = card
        return card

    def get(self, name: str) -> Card:
        """Return the card of that name.

        Raises:
            UnknownNameError: It is not registered; the message has the nearest names.
        """
        if name not in self._cards:
            raise UnknownNameError.of(self.what, name, self._cards)
        return self._cards[name]

    def __contains__(self, name: object) -> bool:
        return name in self._cards

    def __iter__(self) -> Iterator[Card]:
        return iter(self._cards.values())


def _identifier(text: str) -> str:
    kept = "".join(c if c.isalnum() else "_" for c in text)
    return kept if kept[:1].isalpha() else f"_{kept}"
