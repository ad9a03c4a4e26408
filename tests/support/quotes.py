"""Sentences of the pages whose numbers are taken from rows of the committed reports.

A field ``{:2}`` is a number with two digits. Behind each sentence are the places of its
numbers, in order. Only numbers without an interval are here: those with one are looked
for in all rows of their section's models.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.support.reported import row, rows, value

Place = Callable[[], float]


def place(
    claim: str, effect: str, n: int, *, on: tuple[str, str, str], sign: int = 1
) -> Place:
    """Say where a number is: claim, effect, demonstrations; model, dataset, report."""
    model, dataset, report = on
    return lambda: sign * value(row(claim, model, dataset, n, report), effect)


hmm = partial(place, on=("hmm_llama", "hmm", "sample"))
softmax = partial(place, on=("learned_softmax", "linear_5", "sample"))
GD, SGD = "same_accuracy[gd]", "same_order_sensitivity[sgd_fixed]"
TEXT, TOP = "which_algorithm_on_text", "same_top_tokens[gd]"
AVERAGED, PARALLEL = (
    f"order_divides_icl_from_gd[{n}]" for n in ("averaged", "position_free")
)
RIVAL, ORDER = "which_algorithm", "same_order_sensitivity_in_regression[gd]"
UNTOUCHED = "floor, the model that learned nothing"
SELF = "ceiling, ICL and ICL"
ONCE, FOUR = "GD after 1 pass", "GD after 4 passes"
RANDOM, UNRELATED = "floor, the untrained network", "floor, GD on unrelated text"
EMBEDDED = "floor, the network with random weights except embeddings and norms"
TRAINED = "the learner"
UNTRAINED = "the untrained network"
EFFICIENCY = "label accuracy over numbers of demonstrations difference"
LOSS = "label accuracy difference"


def count(verdict: str = "", *, of: str = "", model: str = "") -> Place:
    """Say how many cells of a claim or a model have a verdict; of all by default."""
    return lambda: float(
        sum(
            verdict in ("", found["verdict"])
            and of in ("", found["claim"])
            and model in ("", found["model"])
            for found in rows("sample")
        )
    )


def table(explanation: str, effect: str, digits: int) -> tuple[str, list[Place]]:
    """Give a line of the table of explanations."""
    name = f"total variation, labels: {effect}"
    return f"| {explanation} | {{:{digits}}} |", [hmm(TEXT, name, 8)]


def measure(
    label: str, claim: str, floors: dict[int, tuple[str, str]]
) -> tuple[str, list[Place]]:
    """Give a line of the table of attention's measures."""
    (said_4, floor_4), (said_8, floor_8) = floors[4], floors[8]
    line = f"| {label} | {{:3}} | {{:3}} ({said_4}) | {{:3}} | {{:3}} ({said_8}) |"
    at_4 = [hmm(claim, TRAINED, 4), hmm(claim, floor_4, 4)]
    return line, [*at_4, hmm(claim, TRAINED, 8), hmm(claim, floor_8, 8)]


def exact(claim: str, who: str, n: int, tasks: str) -> list[Place]:
    """Give the shares of exact answers in some tasks of the natural study."""
    name = f"exact-answer accuracy: {who}"
    on = [("smollm2_135m", task, "natural") for task in tasks.split()]
    return [place(claim, name, n, on=where) for where in on]


NOISE = "robust_to_weight_change_in_regression"
THREE = "singular_plural present_past capitalise"
ALL = f"{THREE} country_capital"
MIDDLE, DEEP = "same_accuracy[gd_middle_W_V]", "same_accuracy[gd_deep_W_V]"

ON_BOTH_PAGES: list[tuple[str, list[Place]]] = [
    (
        "label accuracy is {:2} without demonstrations, {:2} after 4 and {:2} after 8",
        [
            hmm(GD, "label accuracy: base", 4),
            hmm(GD, "label accuracy: ICL", 4),
            hmm(GD, "label accuracy: ICL", 8),
        ],
    ),
]
ON_THE_FINDINGS: list[tuple[str, list[Place]]] = [
    ("ICL gives {:2}, {:2} and {:2} exact answers on the", exact(GD, "ICL", 4, THREE)),
    ("of a middle layer gives {:2}, {:2} and {:2},", exact(MIDDLE, "GD", 4, THREE)),
    ("of a deep layer {:2}, {:2} and {:2}.", exact(DEEP, "GD", 4, THREE)),
    ("On all weights it gives {:2}, {:2} and {:2}.", exact(GD, "GD", 4, THREE)),
    ("ICL gives {:2}, {:2}, {:2} and, on `c", exact(GD, "ICL", 8, THREE)),
    ("middle layer gives {:2}, {:2}, {:2} and {:2},", exact(MIDDLE, "GD", 8, ALL)),
    ("on the deep layer {:2}, {:2}, {:2} and {:2},", exact(DEEP, "GD", 8, ALL)),
    ("on all weights {:2}, {:2}, {:2} and {:2}.", exact(GD, "GD", 8, ALL)),
    (
        "(R² {:3} at 5 demonstrations, {:4} at 10)",
        [softmax(RIVAL, "R² of the linear fit", n) for n in (5, 10)],
    ),
    (
        "from GD is {:3} of the answers' variance at 5 demonstrations and {:3} at 10",
        [softmax(RIVAL, "squared prediction difference: GD", n) for n in (5, 10)],
    ),
    (
        "the squared distances are {:3} and {:3},",
        [
            softmax(RIVAL, f"squared prediction difference: {name}", 5)
            for name in ("GD++", "ridge")
        ],
    ),
    (
        "deviation is {:3} of the answers' size at 5 demonstrations and {:3} at 10.",
        [softmax(ORDER, "order sensitivity: ICL", n) for n in (5, 10)],
    ),
    ("more at 10 ({:3} and {:3})", [softmax(ORDER, UNTRAINED, n) for n in (5, 10)]),
    ("ICL at 4 demonstrations ({:3})", [hmm(SGD, "order sensitivity: GD", 4)]),
    ("on order about as much ({:3})", [hmm(SGD, "order sensitivity: GD", 8)]),
    (
        "falls from {:3} after one pass to {:3} after four (4 demonstrations), "
        "and from {:3} to {:3} (8)",
        [hmm(SGD, ONCE, 4), hmm(SGD, FOUR, 4), hmm(SGD, ONCE, 8), hmm(SGD, FOUR, 8)],
    ),
    (
        "at 8 demonstrations ({:2} and {:2}, against {:2})",
        [
            hmm(AVERAGED, "label accuracy: without_order", 8),
            hmm(PARALLEL, "label accuracy: without_order", 8),
            hmm(AVERAGED, "label accuracy: ICL", 8),
        ],
    ),
    (
        "the nearest GD shares {:3} and {:3} of ICL's first five tokens. The untouched "
        "model shares {:3} and {:3} of them, and ICL in another order {:3} and {:3}",
        [hmm(TOP, who, n) for who in (TRAINED, UNTOUCHED, SELF) for n in (4, 8)],
    ),
    table("ICL in another order", "another_order", 3),
    table("exact posterior of the training process (Bayes)", "Bayes, exact", 3),
    table("GD, at the nearest rate and passes", "GD", 3),
    table("untouched model", "the model that learned nothing", 2),
    table("task vector, added", "task vector, added", 2),
    table("task vector, in place of the hidden state", "task vector", 2),
    measure(
        "SimAOU",
        "same_update",
        {4: ("GD on unrelated text", UNRELATED), 8: ("random weights", RANDOM)},
    ),
    measure(
        "SimAM_Δ",
        "same_attention_change",
        {4: ("random weights", RANDOM), 8: ("random weights", RANDOM)},
    ),
    measure(
        "Kendall's τ",
        "same_attention_to_demonstrations",
        {4: ("untouched model", UNTOUCHED), 8: ("untouched model", UNTOUCHED)},
    ),
    (
        "{:0} of the {:0} cells of `hmm_llama` are inconclusive",
        [count("inconclusive", model="hmm_llama"), count(model="hmm_llama")],
    ),
    (
        "a GD step under noise is refuted in {:0} of {:0} cells",
        [count("refuted", of=NOISE), count(of=NOISE)],
    ),
    (
        "accuracy (GD's is {:2} and {:2})",
        [hmm(GD, "label accuracy: best", n) for n in (4, 8)],
    ),
    (
        "similar to ICL to {:3} (4 demonstrations) and {:3} (8), by the divergence",
        [hmm("same_distribution[gd]", SELF, n) for n in (4, 8)],
    ),
    (
        "ICL covers {:2} of what the GD nearest to ICL corrects and {:2} of what GD at "
        "its best at the task corrects. But it also covers {:2} of what GD on "
        "*unrelated text* corrects, {:2} of what GD on *shuffled* labels corrects, and "
        "{:2} of what ICL in another order corrects.",
        [
            hmm("icl_covers_gd", who, 8)
            for who in (
                TRAINED,
                "GD at its best at the task",
                UNRELATED,
                "floor, GD on shuffled labels",
                SELF,
            )
        ],
    ),
    (
        "ICL and GD ({:2}), a smaller drift in accuracy ({:3}), and an accuracy loss "
        "under noise that is no larger ({:3}). Trained weights show {:2}, {:2} and",
        [
            hmm("same_data_efficiency", f"{EFFICIENCY}: {UNTRAINED}", 8, sign=-1),
            hmm("icl_survives_training_drift", f"{LOSS}: {UNTRAINED}", 8, sign=-1),
            hmm("robust_to_weight_change", f"{LOSS}: {UNTRAINED}", 8, sign=-1),
            hmm("same_data_efficiency", EFFICIENCY, 8),
            hmm("icl_survives_training_drift", LOSS, 8),
        ],
    ),
    (
        "trained weights score {:3} and GD on unrelated text {:3}; random weights "
        "score {:3}. At 8, they score {:3}, {:3} and {:3}.",
        [
            hmm("same_update", who, n)
            for n in (4, 8)
            for who in (TRAINED, UNRELATED, RANDOM)
        ],
    ),
    (
        "embeddings and norms score {:3} and {:3}.",
        [hmm("same_update", EMBEDDED, n) for n in (4, 8)],
    ),
    (
        "a probability of {:2}. If each occurrence is substituted anew, {:2}.",
        [
            hmm("cipher", f"probability of the right label: {which}", 8)
            for which in ("one_to_one", "anew")
        ],
    ),
]
