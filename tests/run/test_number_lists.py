"""Rates and passes are lists of numbers, in any order; nothing else is one."""

from __future__ import annotations

import pytest

from probes.cell import Settings
from probes.errors import OptionError
from probes.run.number_lists import parse_passes, parse_rates


def test_numbers_come_out_ascending_and_each_once() -> None:
    assert parse_rates("1e-3, 5e-4,.001") == (0.0005, 0.001)
    assert parse_passes("40,20,40") == (20, 40)
    assert parse_rates(None) == parse_passes(None) == ()


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "fast", "1,,2"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="--rates"):
        parse_rates(text)


@pytest.mark.parametrize("text", ["0", "1.5", "-2", "many", "2,"])
def test_what_is_no_number_of_passes_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="--passes"):
        parse_passes(text)


def test_rates_and_passes_come_together() -> None:
    with pytest.raises(OptionError, match=r"--rates is given without --passes"):
        Settings(rates=(0.1,))
    with pytest.raises(OptionError, match=r"Pass --rates too"):
        Settings(passes=(2,))
