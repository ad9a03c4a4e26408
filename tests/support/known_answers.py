"""What every measure must answer on inputs small enough to be worked out by hand.

Each answer is a call of the measure and the values that its formula gives, from the
papers that the measures cite. ``test_measures`` holds the measures to them, and
``test_broken_measures`` holds them to measures that were broken on purpose.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from probes.measurement import Measurement
from probes.observations.observation import Observation

Answer = tuple[Callable[[Any], Any], list[float]]

OURS = (0.4, 0.25, 0.15, 0.1, 0.06, 0.04)
THEIRS = (0.1, 0.06, 0.4, 0.04, 0.25, 0.15)  # OURS, rearranged


def text(
    logits: object, gold: object = 0, labels: tuple[int, ...] = (0, 2)
) -> Observation:
    """Answer with log-softmax of logits (n_sets, n_queries, n_vocab) or of one cell."""
    found = np.array(logits, dtype=np.float64)
    found = found.reshape((1,) * (3 - found.ndim) + found.shape)
    log_probs = found - np.logaddexp.reduce(found, axis=-1, keepdims=True)
    right = np.broadcast_to(np.array(gold), found.shape[:2])
    return Observation(
        arrays={"log_probs": log_probs, "gold": right},
        facts={"label_tokens": list(labels)},
    )


def spread(probabilities: object, gold: object = 0, **given: Any) -> Observation:
    return text(np.log(np.array(probabilities)), gold, **given)


def numbers(
    predictions: object = 0.0, sensitivities: object = 0.0, answers: object = 1.0
) -> Observation:
    """Answer a regression task of one set."""
    values = {"predictions": predictions, "sensitivities": sensitivities}
    arrays = {k: np.array([v], dtype=float) for k, v in values.items()}
    return Observation(arrays={**arrays, "answers": np.array([answers], dtype=float)})


def answered(right: object) -> Observation:
    """Answer among two labels, 1 where right; the right label is always the first."""
    found = np.atleast_2d(np.array(right))
    log_probs = np.log(np.where(found[..., None] == [1, 0], 0.9, 0.1))
    gold = np.zeros(found.shape, dtype=int)
    return Observation(
        arrays={"log_probs": log_probs, "gold": gold}, facts={"label_tokens": [0, 1]}
    )


def moved(*layers: object) -> Observation:
    """Put out vectors of one query, one for each layer."""
    return Observation(arrays={"outputs": np.array(layers, float)[None, None]})


def placed(*layers: object) -> Observation:
    """Put out numbers for the queries of one set, layer by layer."""
    outputs = np.array(layers, float).T[None, ..., None]
    return Observation(arrays={"outputs": outputs})


def directed(*matrices: object) -> Observation:
    """Move two matrices, of three and of two outputs, in two directions each."""
    return Observation(
        arrays={"directions": np.array([matrices], float)},
        facts={"n_outputs": [3, 2]},
    )


def seen(*heads: object, length: int = 2) -> Observation:
    """Attend to a query's tokens, which come last; the places before are padding."""
    maps = np.array(heads, float)[None, None, None]
    return Observation(arrays={"maps": maps, "query_lengths": np.array([[length]])})


def weighted(*scores: float) -> Observation:
    """Weigh three demonstrations, of which the first has two tokens; the last pads."""
    return Observation(
        arrays={
            "demonstration_scores": np.log(scores)[None, None, None],
            "owners": np.array([[0, 0, 1, 2, -1]]),
        }
    )


def stepped(layer: object, paths: object) -> tuple[list[Observation], Observation]:
    """One layer's answers to two queries of two sets, and a run of three lengths."""
    answers = np.full((2, 2), 2.0)
    ours = Observation(arrays={"predictions": np.array(layer, float)})
    run = {"paths": np.array(paths, float), "answers": answers}
    return [ours], Observation(arrays=run, facts={"counts": [0, 1, 4]})


def fitted(*predictions: float) -> Observation:
    """Answer the queries (1, 0), (0, 1) and (1, 1)."""
    queries = np.array([[[1.0, 0], [0, 1], [1, 1]]])  # shared by all sets
    return Observation(
        arrays={"queries": queries, "predictions": np.array([predictions], float)}
    )


def guessed(*sets: object) -> Observation:
    """Predict the answers to the queries of several sets."""
    return Observation(arrays={"predictions": np.array(sets, float)})


ALL, ALONE, NONE = (
    guessed((4, 5), (2, 1)),  # changes by (3, 4) and (1, 0)
    guessed((1, 2), (2, 3), (4, 1), (0, 0)),  # sums of changes (1, 3) and (2, −1)
    guessed((1, 1), (1, 1)),
)
LEFT = guessed((11,), (8,), (16,))  # leaving out one of three: by −1, 2 and −6
THREE = (0, 1, 2)
FULL = spread([[(0.5, 0.3, 0.2)]], [[1]], labels=THREE)
BARE = spread([[(0.4, 0.4, 0.2)]], [[1]], labels=THREE)
LESS = spread(  # by (.1, .1, −.2), (0, −.1, .1) and (−.3, .2, .1)
    [[(0.4, 0.2, 0.4)], [(0.5, 0.4, 0.1)], [(0.8, 0.1, 0.1)]], [[1]] * 3, labels=THREE
)
ONES = spread(  # by (.1, 0, −.1) from BARE, and not at all
    [[(0.5, 0.4, 0.1)], [(0.4, 0.4, 0.2)]], [[1]] * 2, labels=THREE
)
TWO = (guessed((0, 0)), guessed((0, 2.5), (2, 1.5)))  # influences 0, 2 and 2½, 1½
WITHOUT = (guessed((10,)), LEFT)  # ranks 2, 3, 1
BY_ITSELF = (guessed((1,), (5,), (1,)), guessed((0.5,)))  # ranks 1½, 3, 1½
UNMOVED = (guessed((1,), (1,), (1,)), guessed((1,)))

CONFIDENT = spread(  # errors −.05 .85 −.05 −.15 and .65 −.35 −.25 .75
    [[(p, 1 - p) for p in (0.95, 0.85, 0.95, 0.85, 0.65, 0.65, 0.75, 0.75)]],
    [[0, 1, 0, 0, 1, 0, 0, 1]],
    labels=(0, 1),
)


def halved(*times: int) -> Observation:
    """Give the right answer of each query the probability ½, halved so many times."""
    right = [2.0**-k for k in times]
    return spread([[(p, (1 - p) / 2, (1 - p) / 2) for p in right]])


def losing(*losses: float) -> Observation:
    """Lose so many nats on the right answer, the mean of two queries of each set."""
    right = np.exp([[-x - 0.1, 0.1 - x] for x in losses])
    return spread(np.stack([right, 1 - right], axis=-1), labels=(0, 1))


FALLING = {0: halved(3, 3), 1: halved(2, 3), 2: halved(1, 2)}
SLOWER = {1: halved(3, 2), 2: halved(2, 2)}
# c + a(n + 1)^−α, and P(1 + crⁿ⁺¹)/(1 + crⁿ); the second set rises instead
POWER = {n: losing(0.2 + 1.5 * (n + 1) ** -0.7, 1 + n) for n in (0, 1, 2)}
POWER |= {4: losing(0.2 + 1.5 * 5**-0.7, 2)}
BAYES = {
    n: losing(-math.log(0.8 * (1 + 3 * 0.2 ** (n + 1)) / (1 + 3 * 0.2**n)), 1 + n)
    for n in (0, 1, 2)
}
BAYES |= {4: losing(-math.log(0.8 * (1 + 3 * 0.2**5) / (1 + 3 * 0.2**4)), 2)}
# changes by (.2, −.2), (.1, −.1), (0, 0), (.3, −.3), and of another query by (−.1, .1)
IMAGINED = Observation(
    arrays={
        "before": np.array([[(0.5, 0.5), (0.4, 0.6)]]),
        "after": np.array(
            [[[(0.7, 0.3), (0.6, 0.4), (0.5, 0.5), (0.8, 0.2)], [(0.3, 0.7)] * 4]]
        ),
    }
)

ORDERS = [
    spread([[first], [(0.3, 0.3, 0.4)]], labels=(0, 1))
    for first in ((0.5, 0.3, 0.2), (0.6, 0.3, 0.1), (0.7, 0.1, 0.2))
]
OTHER = spread([[(0.3, 0.3, 0.4)], [(0.3, 0.4, 0.3)]], labels=(0, 1))
HUNTED = [
    Observation(
        arrays={
            "ours": np.array([[1.0, 2.0]]),
            "theirs": np.array([theirs]),
            "answers": np.array([answers]),
        }
    )
    for theirs, answers in (([1.5, 6.0], [3.0, 4.0]), ([1.5, 2.0], [3.0, -8.0]))
]
PAIR = (spread(OURS), spread(THEIRS))
# of 40 tokens the four likeliest are compared: {0, 1, 2, 3} and {1, 0, 4, 5}
MANY = (
    spread([4, 3, 2, 1] + [0.01] * 36),
    spread([3, 4, 0.01, 0.01, 2, 1] + [0.01] * 34),
)
POINTS = (numbers([1, 2], answers=[3, 4]), numbers([1.5, 0], answers=[3, 4]))
FAR = numbers([1e9, 0], answers=[3, 4])  # counts as a thousand answer sizes
FAR_ERROR = (1000 - 3 / math.sqrt(12.5)) ** 2
LOSSES = (2.25 / 9.125, 16 / 9.125)  # of POINTS[1], over their mean
FAR_EXCESS = (FAR_ERROR * 12.5 / 9.125 - LOSSES[0], 0)
SLOPES = (
    numbers([0] * 4, [[3, 4], [0, 3], [0, 0], [0, 0]]),
    numbers([0] * 4, [[4, 3], [0, -1], [0, 0], [1, 0]]),
)
SLOPED = tuple(  # mean squares of answers and of queries' norms: 9/4 and 10/4
    Observation(
        arrays={
            **o.arrays,
            "answers": np.array([[0.0, 1, 2, 2]]),
            "queries": np.array([[[1.0, 1], [0, 1], [1, 1], [1, 2]]]),
        }
    )
    for o in SLOPES
)
FIVE = (spread((0.4, 0.3, 0.15, 0.1, 0.05)), spread((0.4, 0.3, 0.05, 0.15, 0.1)))
RIGHT_AND_WRONG = spread([[OURS, OURS]], [[0, 1]])
BASE, GD, ICL = map(
    answered,
    (
        [[1, 0, 0, 0], [0, 0, 0, 0]],
        [[1, 1, 1, 0], [0, 1, 0, 0]],
        [[1, 1, 0, 1], [0, 1, 0, 0]],
    ),
)
CHANGES = (
    (spread([(0.5, 0.3, 0.2)]), spread([(0.2, 0.3, 0.5)])),  # by (−.3, 0, .3)
    (spread([(0.4, 0.4, 0.2)]), spread([(0.3, 0.2, 0.5)])),  # by (−.1, −.2, .3)
)
INSIDE = (  # cosines from the base: 18/√360, and of unit vectors .56/√(.8 · .4)
    moved((3, 4), (3, 1)), moved((4, 3), (-4, 4)), moved((1, 0), (0, 1))
)  # fmt: skip
HALF = math.sqrt(1 / 2)
LINE, MIXED, ONE = (0, 1, 2, 3, 5), (1, 0, 2, 4, 3), (1,) * 5
CKA = [
    35 / math.sqrt(55 * 31) * (1 - 5 * (ours * 3 / 275 + theirs * 3 / 155))
    + 10 * both * 3 / math.sqrt(275 * 155)
    for ours, theirs, both in zip(
        (73 / 3, 17, 3, 59 / 3, 83 / 3),
        (11, 43 / 3, 1, 43 / 3, 11),
        (131 / 9, 44 / 3, -5 / 3, 134 / 9, 143 / 9),
        strict=True,
    )
]
APART = (0, 1, 2, 3, 10, 11, 12)
FAR_OFF = Observation(arrays={"outputs": np.array([[[[x + 99, 7]] for x in APART]])})
RIGHT = Observation(arrays={"gold": np.array([[0, 0, 0, 1, 1, 1, 1]])})
READ = Observation(
    arrays={
        "shares": np.arange(20).reshape(2, 5, 2) / 20,
        "sizes": np.full((2, 5), 0.0225) * [1, 2, 4, 9, 9],
        "hoyer": np.arange(10).reshape(2, 5) / 10,
        "participation": np.arange(10, 20).reshape(2, 5) / 20,
    },
    facts={"thresholds": [1e-2, 1e-3], "d_model": 4096},
)
DENSE = 0.75 - 1 / 8192
MATRICES = torch.tensor([[[3.0, -4, 0], [0, 0, 0]], [[1, 1, -1], [1, -1, 1]]])

# By hand, from the formulas of the papers that the measures cite; entropies in bits.
# After a measurement's values comes its chance level, where it has one.
# Two sets, two places, two criteria; the second place was chosen by the second one.
CHOSEN = Observation(
    arrays={"points": np.array([[[1, 2], [3, 0.25]], [[4, 5], [6, -0.5]]])},
    facts={
        "criteria": ["loss", "equal loss"],
        "places": [[0.1, 1], [0.1, 2]],
        "equal loss": {"rate": 0.1, "passes": 2},
    },
)

KNOWN: dict[str, Answer] = {
    # 1 − H((p+q)/2) + ½H(p) + ½H(q)
    "jensen_shannon": (lambda m: m(*PAIR), [0.7636473]),
    # (8/11, 3/11) and (1/5, 4/5) among the labels
    "label_jensen_shannon": (lambda m: m(*PAIR), [0.7874583]),
    # ½(.3 + .19 + .25 + .06 + .19 + .11)
    "total_variation": (lambda m: m(*PAIR), [0.55]),
    # ½(29/55 + 29/55)
    "label_total_variation": (lambda m: m(*PAIR), [29 / 55]),
    # ½(.15 + .05 + .1 + .04 + .06) − ½(.15 + .19 + .3 + .16 + .15 + .05)
    "distance_reduction": (
        lambda m: m(*PAIR, spread((0.25, 0.25, 0.1, 0.2, 0.1, 0.1))),
        [-0.3, 0],
    ),
    "gap_after_matching": (
        lambda m: m(CHOSEN, "loss"),
        [0.25, -0.5],
    ),
    "accuracy": (lambda m: m(RIGHT_AND_WRONG), [1, 0, 1 / 6]),
    "label_accuracy": (lambda m: m(RIGHT_AND_WRONG), [1, 0, 1 / 2]),
    # right twice of two numbers of demonstrations, and once
    "accuracy_over_numbers": (
        lambda m: m([RIGHT_AND_WRONG, spread([[OURS, OURS]], [[0, 0]])]),
        [1, 0.5, 1 / 2],
    ),
    "gold_probability": (lambda m: m(RIGHT_AND_WRONG), [8 / 11, 3 / 11, 1 / 2]),
    # The four likeliest are {0, 1, 2, 3} and {0, 2, 4, 5}; O = {0, 2}. Of five tokens
    # the two likeliest are the same, but not the two unlikeliest.
    "token_overlap": (
        lambda m: [m(*PAIR, k=4), m(*FIVE, k=2), m(*MANY)],
        [0.5, 4 / 6, 1, 2 / 5, 0.5, 4 / 40],
    ),
    # .1 / √(.1825 · .17) and 24/25, and both / √2
    "overlap_cosine": (lambda m: [m(*PAIR, k=4), m(*MANY)], [0.5677330, 0.96]),
    "overlap_similarity": (
        lambda m: [m(*PAIR, k=4), m(*MANY)],
        [0.4014478, 0.96 / math.sqrt(2)],
    ),
    # √(.02/3) + √(.08/9) + √(.02/9); the second set answers alike after all orders
    "order_sensitivity": (lambda m: m(ORDERS), [0.2230710, 0.0]),
    # twice the deviation of (5/8, 2/3, 7/8)
    "label_order_sensitivity": (lambda m: m(ORDERS), [0.2187225, 0.0]),
    # √(.02/2) + √(.08/6) + √(.02/6) = .2732051 over the mean of (.2 + 0 + .2)/√2 and
    # (0 + .1 + .1)/√2, the first order and OTHER: .1(1 + √3) · √2/.3
    "relative_order_sensitivity": (
        lambda m: m(ORDERS, OTHER),
        [1.2879011, 0.0, 4 / 3, 2 / 3],
    ),
    # deviation √(14/9) of (1, 2, 4), and none of 5, in units of √2.5; 4/2.5 and 1/2.5,
    # half-way to 1
    "answer_order_sensitivity": (
        lambda m: m([numbers([p, 5], answers=[2, 1]) for p in (1, 2, 4)]),
        [math.sqrt(14 / 9 / 2.5), 0, 1.3, 0.7],
    ),
    # (.5, 2) in units of √12.5; 9/12.5 and 16/12.5, half-way to 1
    "prediction_distance": (
        lambda m: m(*POINTS),
        [0.1414214, 0.5656854, 0.86, 1.14],
    ),
    "squared_distance": (lambda m: m(*POINTS), [0.02, 0.32, 0.72, 1.28]),
    # (9 − 4)/12.5 and (16 − 4)/12.5
    "explained_share": (lambda m: m(POINTS[0]), [0.4, 0.96, 0.72, 1.28]),
    # 24/25; opposite; 0 agrees with 0, and with nothing else
    "sensitivity_cosine": (lambda m: m(*SLOPES), [0.96, -1, 1, 0, 0]),
    # (√2, 4, 0, 1) in units of √(9/4 / (10/4)), the answers' over the queries'
    "sensitivity_distance": (
        lambda m: m(*SLOPED),
        [
            *(gap * math.sqrt(10) / 3 for gap in (math.sqrt(2), 4, 0, 1)),
            *((1 + y * y / 2.25) / 2 for y in (0, 1, 2, 2)),
        ],
    ),
    # (1 − 3)² and (2 − 4)² over 12.5
    "squared_error": (
        lambda m: [m(POINTS[0]), m(FAR)],
        [0.32, 0.32, 0.72, 1.28, FAR_ERROR, 1.28, 0.72, 1.28],
    ),
    # (4 − 2.25, 4 − 16) over their mean 9.125
    "loss_excess": (
        lambda m: [m(*POINTS), m(FAR, POINTS[1])],
        [1.75 / 9.125, -12 / 9.125, *LOSSES, *FAR_EXCESS, *LOSSES],
    ),
    "loss_gaps_both_ways": (
        lambda m: m(
            {"there": POINTS[0], "far": FAR}, dict.fromkeys(("there", "far"), POINTS[1])
        ),
        [
            *(1.75 / 9.125, -12 / 9.125, *LOSSES, *FAR_EXCESS, *LOSSES),
            *(-1.75 / 9.125, 12 / 9.125, *LOSSES),
            *(-FAR_EXCESS[0], -FAR_EXCESS[1], *LOSSES),
        ],
    ),
    # |1 − 4| − |1 − 0| and |2 − 8| − |2 − 1|, then |3 − 4| − |3 − 3| and
    # |2 − 8| − |2 − 2|, the mean over two layers, in units of √2.5
    "lead_of_equal_steps": (
        lambda m: m(
            [numbers(p, answers=[2, 1]) for p in ([1, 2], [3, 2])],
            [numbers(p, answers=[2, 1]) for p in ([0, 1], [3, 2])],
            [numbers(p, answers=[2, 1]) for p in ([4, 8], [4, 8])],
        ),
        [1.5 / math.sqrt(2.5), 5.5 / math.sqrt(2.5), 1.3, 0.7, 0],
    ),
    # (.5, 4) in units of max(1, 6, 4), and (.5, 0) in units of max(1, 2, 8)
    "worst_disagreement": (
        lambda m: [m(HUNTED[0]), m(HUNTED[1])],
        [1 / 12, 2 / 3, 1 / 16, 0],
    ),
    # fits (1, 2) and (4, 1)/3: (1/9 + 25/9)/2
    "weight_distance": (lambda m: m(fitted(1, 2, 3), fitted(1, 0, 2)), [13 / 9]),
    # residuals of 1/3 each against 1² + 0² + 2²; nothing at all is linear
    "linearity": (
        lambda m: [m(fitted(1, 0, 2)), m(fitted(0, 0, 0))],
        [1 - (1 / 3) / 5, 1],
    ),
    "corrected": (lambda m: m(GD, BASE), [0, 1, 1, 0, 0, 1, 0, 0]),
    # 3 of the 4 in 6 that either corrects; nothing if neither corrects any
    "corrections_apart": (
        lambda m: [
            m(
                answered([1, 1, 0, 0, 0, 0]),
                answered([0, 1, 1, 1, 1, 0]),
                answered([0, 0, 0, 0, 1, 0]),
            ),
            m(*[answered([0, 1])] * 3),
        ],
        [1.5, 0, 1.5, 1.5, 0, 0, 0, 0],
    ),
    # ratio 2/3 of 3 in 8: where it is a hit + (1 − 2/3)·8/3, a miss − (2/3)·8/3
    "coverage": (
        lambda m: m(ICL, GD, BASE),
        [2 / 3, 14 / 9, -10 / 9, 2 / 3, 2 / 3, 14 / 9, 2 / 3, 2 / 3],
    ),
    # ratio 1/4 of 4 in 8: a hit + (3/4)·2, a miss − (1/4)·2
    "coverage_elsewhere": (
        lambda m: m(ICL, GD, BASE),
        [0.25, 0.25, 0.25, 1.75, -0.25, 0.25, -0.25, -0.25],
    ),
    # ½(.3 + .3)
    "change_size": (lambda m: m(*CHANGES[0]), [0.3]),
    # .12 over the larger of .18 and .14, whichever is whose
    "change_agreement": (
        lambda m: [m(*CHANGES), m(*CHANGES[::-1]), m(CHANGES[0], CHANGES[1][::-1])],
        [2 / 3, 0, 2 / 3, 0, -2 / 3, 0],
    ),
    # |Δ − aΣ| over √6.5 with a = 2/5 of the second set for the first, 15/10 for the
    # second, less 2.225/√6.5 · ½(Δ²/6.5 − 1); of a single set a = 1/2, so
    # (.05, −.1, .05) over √.02
    "additivity_gap": (
        lambda m: [m(ALL, ALONE, NONE), m(FULL, ONES, BARE)],
        [
            *(
                (gap - 2.225 * (square / 6.5 - 1) / 2) / math.sqrt(6.5)
                for gap, square in ((2.6, 9), (2.8, 16), (2, 1), (1.5, 0))
            ),
            math.sqrt(3) / 2,
        ],
    ),
    # influences 1, 2, 6 and .4, .2, .6: ends that differ by 5 and .2, means 3 and .4;
    # of two queries by 2 and −1, means 1 and 2, so 1/3 in all, less 1/3 · (∓.5)/1.5
    "influence_slope": (
        lambda m: [m(WITHOUT), m((FULL, LESS)), m(TWO)],
        [5 / 3, 0, 1 / 2, 0, (2 + 1 / 6) / 1.5, (-1 - 1 / 6) / 1.5, 0],
    ),
    # centred ranks (0, 1, −1) with (−½, 1, −½), and with (0, −1, 1); and with none;
    # none with none
    "influence_rank_correlation": (
        lambda m: [
            m(WITHOUT, BY_ITSELF),
            m((FULL, LESS), WITHOUT),
            m(WITHOUT, UNMOVED),
            m(UNMOVED, UNMOVED),
        ],
        [math.sqrt(3) / 2, 0, -1, 0, 0, 0, 1, 0],
    ),
    # the mean error of the three others in each half: the halves' errors sum to .6, .8
    "squared_calibration_error": (
        lambda m: m(CONFIDENT),
        [
            *(-0.05 * 0.65 / 3, 0.85 * -0.25 / 3, -0.05 * 0.65 / 3, -0.15 * 0.75 / 3),
            *(0.65 * 0.15 / 3, -0.35 * 1.15 / 3, -0.25 * 1.05 / 3, 0.75 * 0.05 / 3),
            0,
        ],
    ),
    # in the bins of .95, .85, .65 and .75; a certain answer is in the last bin
    "expected_calibration_error": (
        lambda m: [m(CONFIDENT), m(text((0, -800), labels=(0, 1)))],
        [0.05, 0.35, 0.05, 0.35, 0.15, 0.15, 0.25, 0.25, 0],
    ),
    # (3/11)² twice, and (8/11)² twice
    "brier_score": (lambda m: m(RIGHT_AND_WRONG), [18 / 121, 128 / 121]),
    "label_loss": (lambda m: m(RIGHT_AND_WRONG), [math.log(11 / 8), math.log(11 / 3)]),
    # of three labels the likeliest is 0, which follows 2 and no other; with two, 1
    "flipped_accuracy": (
        lambda m: [
            m(spread([[OURS] * 3], [[0, 1, 2]], labels=(0, 2, 3))),
            m(RIGHT_AND_WRONG),
        ],
        [0, 0, 1, 1 / 3, 0, 1, 1 / 2],
    ),
    "flipped_accuracy_over_numbers": (
        lambda m: m(
            [spread([[OURS] * 3], [gold], labels=(0, 2, 3)) for gold in ([0, 1, 2], 2)]
        ),
        [0.5, 0.5, 1, 1 / 3],
    ),
    "answer_loss": (lambda m: m(RIGHT_AND_WRONG), [-math.log(0.4), -math.log(0.15)]),
    "loss_over_numbers": (
        lambda m: m(FALLING),
        [1.5 * math.log(2), 2.5 * math.log(2)],
    ),
    "loss_fall": (lambda m: m(FALLING), [2 * math.log(2), math.log(2), 0]),
    # in units of 1½ ln 2; then each answer's own fall
    "loss_gap": (lambda m: m(FALLING, SLOWER, 1), [2 / 3, -2 / 3, 4 / 3, 2 / 3]),
    "gaps_both_ways": (
        lambda m: m(FALLING, SLOWER),
        [
            *(2 / 3, -2 / 3, 4 / 3, 2 / 3, 2 / 3, 0, 4 / 3, 2 / 3),
            *(-2 / 3, 2 / 3, 4 / 3, 2 / 3, -2 / 3, 0, 4 / 3, 2 / 3),
        ],
    ),
    # losses of 1, 2, 3 and 2 are nearest to a constant
    "power_law_error": (lambda m: m(POWER), [0, math.sqrt(1 / 2)]),
    "bayesian_law_error": (lambda m: m(BAYES), [0, math.sqrt(1 / 2)]),
    # halves of the first: .1 and .2, twice, over a mean square of .28/4 and .02
    "martingale_gap": (
        lambda m: m(IMAGINED),
        [0.04 / 0.045, 0.02 / 0.045, 0.07 / 0.045, 0.02 / 0.045],
    ),
    # the worst of 1/10 and 3/2; a layer without an effect has no error
    "patch_error": (
        lambda m: m(
            Observation(
                arrays={
                    "patch_errors": np.array([[[1.0, 3.0, 0.0]]]),
                    "context_effects": np.array([[[10.0, 2.0, 0.0]]]),
                }
            )
        ),
        [1.5],
    ),
    "context_effect": (
        lambda m: m(
            Observation(arrays={"context_effects": np.array([[[3.0, 7.0], [0, 0]]])})
        ),
        [7, 0],
    ),
    # (2, 4)·(3, 3) and (3, 0)·(−4, 3) over their lengths
    "update_cosine": (lambda m: m(*INSIDE), [(18 / math.sqrt(360) - 0.8) / 2, 0]),
    # unit vectors: (−.4, .8)·(−.2, .6)/√(.8 · .4) = .9899495, and with (3, 1)/√10 and
    # (−1, 1)/√2 from (0, 1): −.470548/(1.169420 · .765367)
    "normalised_update_cosine": (lambda m: m(*INSIDE), [0.2321092, 0]),
    # 24/25, and (3, 1)·(−4, 4)/√(10 · 32)
    "activation_cosine": (
        lambda m: m(*INSIDE[:2]),
        [(0.96 - 8 / math.sqrt(320)) / 2, 0],
    ),
    # 35/√(55 · 31) by eq. 5 of Song et al.; squares of the five rows of the centred
    # matrices, and products. In the second layer one learner puts out 1 always.
    "representation_similarity": (
        lambda m: [
            m(placed(LINE, LINE), placed(MIXED, ONE)),
            m(placed(LINE, LINE), placed(ONE, MIXED), layer=-1),
        ],
        [*(value / 2 for value in CKA), 0, *CKA, 0],
    ),
    # the farthest of six does not count: 12, or 0 for the last three
    "label_neighbours": (
        lambda m: [
            m(placed(APART), RIGHT),
            m(placed(APART, (0,) * 7), RIGHT),  # the first five of those at distance 0
            m(FAR_OFF, RIGHT),
        ],
        [
            *(2 / 5, 2 / 5, 2 / 5, 2 / 5, 3 / 5, 3 / 5, 3 / 5, 3 / 7),
            *(2 / 5, 2 / 5, 2 / 5, 2 / 5, 1 / 2, 1 / 2, 1 / 2, 3 / 7),
            *(2 / 5, 2 / 5, 2 / 5, 2 / 5, 3 / 5, 3 / 5, 3 / 5, 3 / 7),
        ],
    ),
    # in the first matrix e₁ has half of its square in the other space, e₂ all; in the
    # second, with two outputs, one direction is missing
    "subspace_overlap": (
        lambda m: m(
            directed([(1, 0, 0), (0, 1, 0)], [(1, 0, 0), (0, 1, 0)]),
            directed([(0, 1, 0), (HALF, 0, HALF)], [(1, 0, 0), (0, 0, 0)]),
        ),
        [1 / 2, 1, 1, 0, (2 / 3 + 2 / 2) / 2],
    ),
    # ln 1 and ln √(32/10), and of two that are 0
    "activation_norm_ratio": (
        lambda m: m(moved((3, 4), (3, 1), (0, 0)), moved((4, 3), (-4, 4), (0, 0))),
        [math.log(3.2) / 6],
    ),
    # (3, 4)·(4, 3)/25 and (1, 0)·(−1, 0); the padding's 9 does not count, nor a place
    # that is padding in one of the two
    "attention_cosine": (
        lambda m: [
            m(seen((9, 3, 4), (9, 1, 0)), seen((5, 4, 3), (5, -1, 0))),
            m(seen((9, 3, 4)), seen((5, 9, 3), length=1)),
        ],
        [(0.96 - 1) / 2, 0, 1, 0],
    ),
    # (2, 3)·(3, 2)/13 and (2, 0)·(−1, 0) from (1, 1)
    "attention_change_cosine": (
        lambda m: [
            m(
                seen((9, 3, 4), (9, 3, 1)),
                seen((5, 4, 3), (5, 0, 1)),
                seen((7, 1, 1), (7, 1, 1)),
            ),
            m(seen((9, 3, 4)), seen((5, 9, 3), length=1), seen((7, 1, 1))),
        ],
        [(12 / 13 - 1) / 2, 0, 1, 0],
    ),
    # weights 4, 3, 1 and 5, 1, 2 of the demonstrations: two pairs alike, one not
    "attention_rank_correlation": (
        lambda m: m(weighted(2, 2, 3, 1, 99), weighted(2, 3, 1, 2, 99)),
        [1 / 3, 0],
    ),
    # |1 − 0|, |1 − 1|, |1 − 3| and so on over 2, averaged over sets and queries
    "step_matching": (
        lambda m: matched(
            m(*stepped([[1, 1], [1, 3]], [[[0, 1, 3]] * 2, [[0, 1, 3]] * 2]))
        ),
        [0.75, 0.25, 0.75, 1, 1, 4],
    ),
    "sparsity": (lambda m: m(READ), [0, 0.1, 0.2, 0.5, 0.6, 0.7]),
    "sparsities": (
        lambda m: m(READ),
        [0, 0.1, 0.2, 0.5, 0.6, 0.7, 0.05, 0.15, 0.25, 0.55, 0.65, 0.75],
    ),
    "product_sparsity": (lambda m: m(READ), [0.3, 0.4, 0.8, 0.9]),
    # 2Φ(.01/σ) − 1 for σ = .0225, .045, .09
    "gaussian_sparsity": (
        lambda m: m(READ),
        [0.3432787, 0.1758591, 0.0884718] * 2,
    ),
    # half of 4096 on the diagonal; and W_0, a quarter, off the diagonal
    "constructed_sparsity": (
        lambda m: m(READ),
        [1 - 1 / 8192, 1 - 1 / 8192, DENSE] * 2,
    ),
    "hoyer": (lambda m: m(READ), [0, 0.1, 0.2, 0.5, 0.6, 0.7]),
    # 1 − √(2/π)
    "gaussian_hoyer": (lambda m: m(READ), [0.2021154] * 6),
    "participating": (lambda m: m(READ), [0.5, 0.55, 0.6, 0.75, 0.8, 0.85]),
    "weight_drift": (
        lambda m: m(Observation(arrays={"drift": np.array([[0.25]])})),
        [0.25],
    ),
}

# What measures of weights read is worked out where the weights are.
BENEATH: dict[str, Answer] = {
    # of (3, −4, 0, 0, 0, 0) and six entries of size 1 the zeros are below any δ
    "shares_below": (lambda m: m(MATRICES), [1 / 3] * 5),
    # (√6 − 7/5)/(√6 − 1), and 0
    "hoyer_sparsity": (
        lambda m: m(MATRICES),
        [(math.sqrt(6) - 1.4) / (math.sqrt(6) - 1) / 2],
    ),
    # 25²/(6 · 337), and 1
    "participation": (lambda m: m(MATRICES), [(625 / 2022 + 1) / 2]),
    # √(31/12)
    "typical_size": (lambda m: m(MATRICES), [math.sqrt(31 / 12)]),
}


def matched(found: Any) -> list[float]:
    """Write out a matching: distances, then the nearest and its interval."""
    return [*found.distances.ravel().tolist(), *found.best, *found.low, *found.high]


def plain(found: Any) -> list[float]:
    """Write out what a measure returned: values, the unit's own, chance."""
    if isinstance(found, Measurement):
        values = [float(v) for v in found.values.ravel()]
        if found.unit_values is not None:
            values += [float(v) for v in found.unit_values.ravel()]
        return values if found.chance is None else [*values, found.chance]
    if isinstance(found, torch.Tensor):
        return [float(v) for v in found.ravel()]
    if isinstance(found, list):
        return [v for part in found for v in plain(part)]
    return [float(found)]


def is_known(answer: Answer, measure: Any) -> bool:
    """Say whether a measure gives its known answer."""
    call, expected = answer
    found = plain(call(measure))
    return len(found) == len(expected) and bool(
        np.allclose(found, expected, rtol=0, atol=1e-7)
    )
