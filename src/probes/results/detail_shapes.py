"""The shapes of a row's details: searches, steps, sparsity, and what was left out."""

from __future__ import annotations

from probes.results.json_shapes import (
    FLAG,
    NUMBER,
    TEXT,
    Field,
    count_from,
    list_of,
    mapping_to,
    nullable,
    number_between,
    object_of,
    pair_of,
)

NEAREST = object_of(
    {
        "steps": Field(shape=count_from(0)),
        "low": Field(shape=count_from(0)),
        "high": Field(shape=count_from(0)),
    }
)
STEP_MATCHING = object_of(
    {
        "unit": Field(shape=TEXT),
        "steps": Field(shape=list_of(count_from(0))),
        "layers": Field(shape=list_of(count_from(1))),
        "algorithms": Field(
            shape=mapping_to(list_of(list_of(number_between(0)))),
            meaning="For each algorithm and each layer, the mean distance after each "
            "number of steps.",
        ),
        "best": Field(
            shape=mapping_to(list_of(NEAREST)),
            meaning="For each algorithm and each layer, the nearest number of steps "
            "with its 90 % interval over sets and queries.",
        ),
    }
)
SEARCH = object_of(
    {
        "criterion": Field(
            shape=TEXT, meaning="What the rate and the passes minimise."
        ),
        "rate": Field(shape=number_between(0), meaning="The chosen learning rate."),
        "passes": Field(shape=count_from(1), meaning="The chosen number of passes."),
        "value": Field(shape=NUMBER, meaning="The criterion there."),
        "is_interior": Field(
            shape=FLAG,
            meaning="Whether rates on both sides and twice the passes are no better.",
        ),
        "edge": Field(
            shape=TEXT, meaning="Where the optimum may lie further on; empty if not."
        ),
        "gain": Field(
            shape=number_between(0),
            meaning="How much the last doubling of the passes improved the criterion.",
        ),
        "curves": Field(
            shape=list_of(
                pair_of(
                    number_between(0), list_of(pair_of(count_from(1), nullable(NUMBER)))
                )
            ),
            meaning="For each rate, the criterion after some numbers of passes; null "
            "where training failed.",
        ),
    }
)
BY_MATRIX = mapping_to(list_of(NUMBER))
LAYER_SPARSITY = object_of(
    {
        "below": Field(shape=NUMBER, meaning="The threshold of the shares."),
        "shares": Field(
            shape=BY_MATRIX,
            meaning="For W_Q, W_K and W_V, the share of small weights in each layer.",
        ),
        "hoyer": Field(
            shape=BY_MATRIX,
            meaning="For W_Q, W_K and W_V, Hoyer's sparsity of each layer.",
        ),
    }
)
DETAILS = object_of(
    {
        "searches": Field(
            shape=list_of(SEARCH),
            is_optional=True,
            meaning="How GD's rate and passes were chosen, on calibration queries.",
        ),
        "step_matching": Field(
            shape=STEP_MATCHING,
            is_optional=True,
            meaning="How far each layer is from each algorithm after each number of "
            "steps.",
        ),
        "layer_sparsity": Field(
            shape=LAYER_SPARSITY,
            is_optional=True,
            meaning="How sparse the attention weights of each layer are.",
        ),
        "moved": Field(
            shape=list_of(TEXT),
            is_optional=True,
            meaning="The tensors that GD moved, and the number of their weights.",
        ),
        "left_out": Field(
            shape=list_of(TEXT),
            is_optional=True,
            meaning="Rows that were too long, or stored tensors that the configuration "
            "does not use, with their number.",
        ),
    }
)
