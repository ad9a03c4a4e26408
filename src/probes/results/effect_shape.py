"""The shape of an effect: a measured quantity with its interval and its margin."""

from __future__ import annotations

from collections.abc import Mapping

from probes.results.json_shapes import (
    FLAG,
    NUMBER,
    TEXT,
    Field,
    count_from,
    list_of,
    nullable,
    number_between,
    object_of,
)

P_VALUE = nullable(number_between(0, 1))
NUMBER_OR_NULL = nullable(NUMBER)

COMPONENTS = object_of(
    {
        "sets": Field(shape=NUMBER),
        "queries": Field(shape=NUMBER),
        "rest": Field(shape=NUMBER),
    }
)
EFFECT_FIELDS: Mapping[str, Field] = {
    "name": Field(
        shape=TEXT,
        is_needed=True,
        meaning="The measured quantity. The first effect of a row carries its verdict.",
    ),
    "value": Field(shape=NUMBER_OR_NULL, is_needed=True),
    "unit": Field(shape=TEXT, is_needed=True),
    "low": Field(
        shape=NUMBER_OR_NULL,
        is_needed=True,
        meaning="Lower end of the interval. Null: the interval is open there, or there "
        "is none.",
    ),
    "high": Field(shape=NUMBER_OR_NULL, is_needed=True),
    "level": Field(
        shape=NUMBER_OR_NULL,
        is_needed=True,
        meaning="Level of the interval, such as 0.9.",
    ),
    "margin": Field(shape=NUMBER_OR_NULL, is_needed=True),
    "floor": Field(shape=NUMBER_OR_NULL, is_needed=True),
    "ceiling": Field(shape=NUMBER_OR_NULL, is_needed=True),
    "n_sets": Field(shape=count_from(0), is_needed=True),
    "n_queries": Field(shape=count_from(0), is_needed=True),
    "p": Field(
        shape=P_VALUE,
        is_needed=True,
        meaning="p of the verdict. If the cell is inconclusive, p of 'supported'.",
    ),
    "p_adjusted": Field(
        shape=P_VALUE,
        is_needed=True,
        meaning="p after Benjamini-Hochberg over the whole matrix.",
    ),
    "sets": Field(
        shape=nullable(list_of(NUMBER)),
        is_optional=True,
        meaning="The effect in each demonstration set, to four digits. Null for all "
        "effects after the first.",
    ),
    "components": Field(
        shape=nullable(COMPONENTS),
        is_optional=True,
        meaning="Variances of the tested values by set, query and rest. Null if "
        "nothing was tested.",
    ),
    "has_two_sides": Field(
        shape=FLAG,
        is_optional=True,
        meaning="Whether the effect must lie within plus or minus the margin.",
    ),
    "counts_groups": Field(
        shape=FLAG,
        is_optional=True,
        meaning="Whether n_sets and sets count groups of rows, each with the mean of "
        "its demonstration sets.",
    ),
}
