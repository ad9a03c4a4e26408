"""The shape of a row of ``results.jsonl``: the one place that describes it.

Rows are built in the order of these fields (``rows``), checked against them when they
are read back (``reading``), and explained by a JSON schema that is generated from them:
``probes report schema`` prints it, and ``row.schema.json`` in this folder holds it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, get_args

from probes.cards import Kind
from probes.results.detail_shapes import DETAILS
from probes.results.effect_shape import EFFECT_FIELDS, P_VALUE
from probes.results.json_shapes import (
    FLAG,
    INTEGER,
    OBJECT,
    TEXT,
    Field,
    count_from,
    list_of,
    mapping_to,
    nullable,
    number_between,
    object_of,
    pair_of,
    read_as,
    unread,
    word_of,
)
from probes.verdicts.group_means import Population
from probes.verdicts.judgement import Verdict

VERDICTS = (*get_args(Verdict), "error")
CELL = ("claim", "model", "dataset", "n_demonstrations")
"""The fields that name a cell across runs."""

VERDICT = word_of(*VERDICTS)
KIND = read_as(word_of(*get_args(Kind)), TEXT)
OUTCOME = read_as(word_of("passed", "failed", "xfailed", "skipped", "error"), TEXT)
LIKELIEST = list_of(pair_of(TEXT, number_between(0, 1)))
EXAMPLE = object_of(
    {
        "prompt": Field(
            shape=TEXT,
            is_needed=True,
            meaning="The end of the prompt that ICL answers.",
        ),
        "answer": Field(
            shape=TEXT, is_needed=True, meaning="The token of the right answer."
        ),
        "icl": Field(
            shape=LIKELIEST,
            is_needed=True,
            meaning="ICL's likeliest tokens with their probabilities, in falling "
            "order.",
        ),
        "gd": Field(shape=LIKELIEST, is_needed=True, meaning="The same for GD."),
    }
)
LOOKS = object_of(
    {
        "planned": Field(shape=list_of(count_from(1))),
        "taken": Field(shape=count_from(1)),
        "level": Field(shape=number_between(0, 1)),
    }
)
SPEAKS_OF = word_of(*get_args(Population))
POPULATION = object_of(
    {
        "speaks_of": Field(
            shape=SPEAKS_OF,
            meaning="'these groups': new demonstration sets of the groups of the data "
            "set. 'new groups': other groups like these.",
        ),
        "n_groups": Field(shape=count_from(1)),
        "other": Field(
            shape=nullable(
                object_of(
                    {
                        "speaks_of": Field(shape=SPEAKS_OF),
                        "verdict": Field(shape=word_of(*get_args(Verdict))),
                        "p_supported": Field(shape=P_VALUE),
                        "p_refuted": Field(shape=P_VALUE),
                    }
                )
            ),
            meaning="The verdict, before correction, if it spoke of the other groups.",
        ),
    }
)
PROVENANCE = object_of(
    {
        "commit": Field(shape=unread(nullable(TEXT))),
        "versions": Field(shape=mapping_to(TEXT), meaning="Versions of the packages."),
        "device": Field(shape=unread(TEXT)),
        "machine": Field(shape=unread(TEXT)),
        "dtype": Field(shape=unread(TEXT)),
        "seed": Field(shape=unread(INTEGER)),
        "n_sets": Field(shape=unread(count_from(1))),
        "n_queries": Field(shape=unread(count_from(1))),
        "n_orders": Field(shape=unread(count_from(1))),
        "n_calibration": Field(shape=unread(count_from(1))),
        "effort": Field(
            shape=unread(TEXT),
            is_optional=True,  # rows of earlier versions have none
            meaning="How much the search for GD's rate and passes could cost.",
        ),
        "rates": Field(
            shape=unread(list_of(number_between(0))),
            is_optional=True,
            meaning="The only rates of GD. Absent: they were searched for.",
        ),
        "passes": Field(
            shape=unread(list_of(count_from(1))),
            is_optional=True,
            meaning="The only numbers of passes after which GD was read. Absent: they "
            "were searched for.",
        ),
        "setup": Field(
            shape=mapping_to(TEXT),
            is_optional=True,
            meaning="The published set-up of the run, its values by option, and which "
            "of them were changed or left out. Absent: none.",
        ),
        "options": Field(
            shape=mapping_to(TEXT),
            meaning="The options of the command line that decide a cell.",
        ),
        "tests_root": Field(
            shape=unread(TEXT),
            is_optional=True,
            meaning="The folder that test is relative to, from where the run was "
            "started. Absent: the same folder.",
        ),
    },
    is_open=True,
)
ROW_FIELDS: Mapping[str, Field] = {
    "claim": Field(
        shape=TEXT, is_needed=True, meaning="The claim's id, with its [variant]."
    ),
    "title": Field(
        shape=TEXT,
        is_optional=True,
        meaning="A short name of the claim in plain words. Absent: it has none.",
    ),
    "sentence": Field(shape=TEXT, meaning="The claim in words."),
    "margin_reason": Field(
        shape=TEXT,
        is_optional=True,
        meaning="Why the claim's margin is as large as it is. Absent: not stated.",
    ),
    "source": Field(shape=TEXT, meaning="The paper that the claim comes from."),
    "identity": Field(
        shape=FLAG,
        meaning="Whether the claim holds for any network, so that its support is no "
        "evidence.",
    ),
    "file": Field(shape=TEXT),
    "test": Field(shape=TEXT, meaning="The pytest id that runs this cell again."),
    "model": Field(shape=TEXT, is_needed=True),
    "kind": Field(shape=KIND, meaning="How the model got its weights."),
    "quantisation": Field(
        shape=TEXT,
        is_optional=True,
        meaning="How the weights were stored, such as Q4_1, before the model was "
        "de-quantised; the cell judges the de-quantised model. Absent: they were not "
        "quantised.",
    ),
    "dataset": Field(shape=TEXT, is_needed=True),
    "n_demonstrations": Field(shape=count_from(1), is_needed=True),
    "verdict": Field(
        shape=VERDICT,
        is_needed=True,
        meaning="The verdict after correction over all cells of the matrix.",
    ),
    "alone": Field(
        shape=VERDICT,
        meaning="The verdict before correction, which the cell's test reports.",
    ),
    "expected": Field(
        shape=nullable(VERDICT),
        meaning="The recorded verdict. Null: the record has no such cell.",
    ),
    "outcome": Field(shape=OUTCOME, meaning="What pytest reports."),
    "effects": Field(shape=list_of(object_of(EFFECT_FIELDS)), is_needed=True),
    "p_supported": Field(shape=P_VALUE, meaning="p of 'supported', uncorrected."),
    "p_refuted": Field(shape=P_VALUE, meaning="p of 'refuted', uncorrected."),
    "reason": Field(
        shape=nullable(TEXT), meaning="Why there is no verdict; or the error."
    ),
    "note": Field(
        shape=nullable(TEXT),
        meaning="What a reader should know, such as the counterexample that a search "
        "found.",
    ),
    "example": Field(
        shape=nullable(list_of(EXAMPLE)),
        is_optional=True,
        meaning="The ten likeliest next tokens of ICL and of GD for one or two queries "
        "of the first demonstration set.",
    ),
    "details": Field(
        shape=read_as(nullable(DETAILS), nullable(OBJECT)),
        is_optional=True,
        meaning="Further numbers that a report may draw; no verdict depends on them.",
    ),
    "looks": Field(
        shape=unread(nullable(LOOKS)),
        is_optional=True,
        meaning="With --until-decided: the numbers of sets of the planned interim "
        "analyses, how many of them were done, and the level of each. The p-values "
        "allow for all of them.",
    ),
    "population": Field(
        shape=unread(POPULATION),
        is_optional=True,
        meaning="Where rows come in groups: of which groups the verdict speaks. "
        "Absent: the rows have no groups, or algebra decides.",
    ),
    "observations": Field(
        shape=list_of(TEXT), meaning="Content keys of the stored observations."
    ),
    "seconds": Field(shape=number_between(0)),
    "provenance": Field(
        shape=PROVENANCE,
        is_needed=True,
        meaning="The code, machine and settings that made the row.",
    ),
}
"""Every field of a row, in the order in which it is written."""
ROW = object_of(ROW_FIELDS)


def in_written_order(values: Mapping[str, Any]) -> dict[str, Any]:
    """Put the fields of a row into their order, and check that they are all there."""
    lacking = [
        name
        for name, field in ROW_FIELDS.items()
        if name not in values and not field.is_optional
    ]
    unknown = values.keys() - ROW_FIELDS.keys()
    assert not lacking, f"a row lacks {lacking}"
    assert not unknown, f"a row has fields that row_shape does not describe: {unknown}"
    return {name: values[name] for name in ROW_FIELDS if name in values}


def schema_text() -> str:
    """Write the JSON schema of a row, as ``row.schema.json`` holds it."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": "Generated from probes/results/row_shape.py by: probes report "
        "schema > src/probes/results/row.schema.json",
        "title": "One row of results.jsonl: one cell of the matrix",
        **ROW.schema,
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
