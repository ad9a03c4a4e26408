"""Options in pytest's configuration file: their keys, their types, what they fill."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from probes.errors import OptionError
from probes.run.options import GRID_OPTIONS, PLACE_OPTIONS


def ini_name(option: str) -> str:
    """Name the key of an option in pytest's configuration file."""
    return "probes_" + attribute(option)


def attribute(option: str) -> str:
    """Name an option as parsed options do."""
    return option.removeprefix("--").replace("-", "_")


def kind_of(settings: dict[str, Any]) -> str:
    """Say of which type an option is in pytest's configuration file."""
    if settings.get("action") == "store_true":
        return "bool"
    kinds = {int: "int", float: "float"}
    return kinds.get(settings.get("type", str), "string")


def complete(option: Any, configured: Callable[[str], Any]) -> None:
    """Give options that the command line left out: as configured, else the default.

    Args:
        option: Parsed options; those left out are None. Completed in place.
        configured: From a key to its value in pytest's configuration file, or None.

    Raises:
        OptionError: The configuration file has a value that cannot be used.
    """
    for name, settings in (*GRID_OPTIONS, *PLACE_OPTIONS):
        if getattr(option, attribute(name)) is not None:
            continue
        key, choices = ini_name(name), settings.get("choices")
        try:
            value = configured(key)
            if value is not None and choices and value not in choices:
                raise ValueError(f"{value!r}")
        except Exception as error:  # whatever pytest raises of a value
            expected = f"one of {', '.join(choices)}" if choices else kind_of(settings)
            raise OptionError(
                f"{key} in pytest's configuration file cannot be used: {error}. "
                f"Expected {expected}. Mend it, or pass {name}."
            ) from error
        found = settings.get("default") if value is None else value
        setattr(option, attribute(name), found)
