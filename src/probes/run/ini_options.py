"""Options that the command line leaves out: from where they take their values."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from probes.errors import OptionError
from probes.run.options import RUN_OPTIONS, RunOption
from probes.run.setups import setup_named


def complete(option: Any, configured: Callable[[str], Any]) -> None:
    """Fill the options that the command line left out, in place.

    Each takes its value from the configuration file, or else from the set-up that
    ``--setup`` names, or else its default. What the set-up fills is noted in
    ``filled_by_setup``.

    Args:
        option: Parsed options; those left out are None.
        configured: From a key to its value in the configuration file, or None.

    Raises:
        OptionError: The configuration file has a value that cannot be used, or an
            option has an empty value.
        UnknownNameError: There is no such set-up.
    """
    if not hasattr(option, "filled_by_setup"):
        option.filled_by_setup = {}
    for each in RUN_OPTIONS:  # --setup comes first
        name = each.name
        if getattr(option, each.attribute) is None:
            name = each.ini_key
            value = _configured_value(each, configured)
            if value is None:
                value = _value_of_setup(each, option)
            setattr(option, each.attribute, each.default if value is None else value)
        value = getattr(option, each.attribute)
        if isinstance(value, str) and not value.strip():
            raise OptionError(
                f"{name} is empty. Expected {re.split('[:;]', each.help)[0]}. Give it "
                f"a value, or leave it out ({each.without or each.default})."
            )


def _value_of_setup(each: RunOption, option: Any) -> Any:
    """Return the value that the run's set-up gives to an option, and note it."""
    if not option.setup:
        return None
    values = {value.option: value.value for value in setup_named(option.setup).values}
    if each.name not in values:
        return None
    option.filled_by_setup[each.attribute] = each.kind(values[each.name])
    return option.filled_by_setup[each.attribute]


def _configured_value(option: RunOption, configured: Callable[[str], Any]) -> Any:
    try:
        value = configured(option.ini_key)
        if value is not None and not _is_of_kind(value, option.kind):
            raise TypeError(f"its value is of the type {type(value).__name__}")
        if value is not None and option.choices and value not in option.choices:
            raise ValueError(f"{value!r}")
    except Exception as error:  # pytest raises several kinds
        choices = f"one of {', '.join(option.choices)}"
        raise OptionError(
            f"{option.ini_key} in pytest's configuration file cannot be used: {error}. "
            f"Expected {choices if option.choices else option.ini_type}. Correct it, "
            f"or pass {option.name}."
        ) from error
    return value


def _is_of_kind(value: Any, kind: type) -> bool:
    """Say whether a value has an option's type; True and False are no numbers."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float if kind is float else kind)
