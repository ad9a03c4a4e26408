"""Options in pytest's configuration file: what they fill, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from probes.errors import OptionError
from probes.run.options import RUN_OPTIONS, RunOption


def complete(option: Any, configured: Callable[[str], Any]) -> None:
    """Fill the options that the command line left out, in place.

    Each takes its value from the configuration file, or else its default.

    Args:
        option: Parsed options; those left out are None.
        configured: From a key to its value in the configuration file, or None.

    Raises:
        OptionError: The configuration file has a value that cannot be used, or an
            option has an empty value.
    """
    for each in RUN_OPTIONS:
        name = each.name
        if getattr(option, each.attribute) is None:
            name = each.ini_key
            value = _configured_value(each, configured)
            setattr(option, each.attribute, each.default if value is None else value)
        value = getattr(option, each.attribute)
        if isinstance(value, str) and not value.strip():
            raise OptionError(
                f"{name} is empty. Expected {re.split('[:;]', each.help)[0]}. Give it "
                f"a value, or leave it out ({each.without or each.default})."
            )


def _configured_value(option: RunOption, configured: Callable[[str], Any]) -> Any:
    try:
        value = configured(option.ini_key)
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
