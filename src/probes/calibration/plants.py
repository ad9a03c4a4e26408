"""Planted truths: learners that answer in place of ICL or of GD.

Where GD answers in place of ICL, ICL *is* GD, and no claim of likeness may be refuted.
The expectation of each plant was written before it was run for the first time;
``plant_expectations`` says which claims are left open, and why.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from probes.calibration.answer_noise import WithNoise
from probes.calibration.label_rules import LastAnswer, MajorityLabel
from probes.calibration.plant_expectations import (
    ADDS_UP,
    AT_ITS_BEST,
    DROWNED_BY_ANY_NOISE,
    KEEP_GD,
    MOVED_BY_ANY_NOISE,
    NEVER_ASKED_IN_ORDER,
    ONE_NUMBER,
    ORDERLESS,
    REORDERED_BY_ANY_NOISE,
    UNMOVED_BY_NOISE,
)
from probes.cards import Family
from probes.learners import (
    Activations,
    Base,
    GradientLearner,
    InContext,
    LabelPrior,
    LinearLearner,
    NearestNeighbours,
)
from probes.measures import Nearest
from probes.observations.request import Learner, Request

RATES = (0.001, 0.003, 0.01, 0.03, 0.1)
"""Rates of the GD that is planted, on text and on regression. At .3, GD on text answers
worse than the untouched model, so that the gate dismisses every claim."""
PASSES = 16
MIDDLE = 0.1
"""The rate to which noise is added: on regression, smaller ones learn little."""
Noise = Literal["", "small", "large"]
NOISE = {
    "small": {"text": 0.03, "regression": 0.03},
    "large": {"text": 1.0, "regression": 0.25},
}
"""Size of the noise (see ``answer_noise``). Claims on text leave a tenth of the way
from floor to ceiling open; claims on regression a twentieth of the answers' size."""
OTHER_ORDER = 1000
"""Added to the number of each order of the demonstrations."""
Expectation = Literal["never refuted", "never supported", ""]
_ICL = InContext()


@dataclass(frozen=True, kw_only=True)
class Plant:
    """A learner that answers in place of ICL or of GD, on the judged model only.

    Attributes:
        name: In tables and in names of files.
        replaces: What it replaces; empty if it changes nothing.
        text: The learner that answers on text.
        regression: The learner that answers on regression tasks, or None if there is
            none; ICL and iterative algorithms get as many layers or steps as what they
            replace.
        noise: The noise that is added to its answers.
        in_another_order: Whether it sees the demonstrations in another order.
        needs_labels: Whether its learner on text counts labels of a closed set.
        expected: What must not happen to any claim.
        open_in: Claims of which nothing is expected all the same.
    """

    name: str
    replaces: Literal["ICL", "GD", ""]
    text: Learner = _ICL
    regression: Learner | None = _ICL
    noise: Noise = ""
    in_another_order: bool = False
    needs_labels: bool = False
    expected: Expectation = ""
    open_in: frozenset[str] = frozenset()

    def can_answer(self, family: Family, *, open_answers: bool = False) -> bool:
        """Say whether there is such a learner for a family of tasks.

        Of open answers only the likeliest tokens are kept, so noise has no place.
        """
        if family == "regression":
            return self.regression is not None
        return not (open_answers and (self.needs_labels or self.noise))

    def expected_of(self, claim: str) -> Expectation:
        """Say what must not happen to a claim, which may name its variant."""
        return "" if claim.partition("[")[0] in self.open_in else self.expected

    def changes(self, request: Request, *, asked_by_claim: bool) -> bool:
        """Say whether a request is answered by the planted learner.

        ICL is replaced wherever it is asked, so that the choice of GD's rate sees it
        too. GD is replaced where a claim asks for it: a random update of GD's size
        keeps the size of the true one.
        """
        asked = request.learner
        inner = asked.of if isinstance(asked, Activations) else asked
        if not touches(request) or not self.replaces:
            return False
        if self.replaces == "ICL":
            return isinstance(inner, InContext)
        is_gd = type(inner) is GradientLearner or (
            isinstance(inner, LinearLearner) and inner.algorithm == "gd"
        )
        return asked_by_claim and is_gd

    def planted(self, request: Request) -> Request:
        """Return the request that is answered in place of one that it ``changes``."""
        asked: Any = request.learner
        records = isinstance(asked, Activations)
        learner = self._in_place_of(asked.of if records else asked, request)
        if records:
            learner = Activations(of=learner)
        if self.noise:
            size = NOISE[self.noise][request.model.family]
            learner = WithNoise(of=learner, size=size)
        shift = OTHER_ORDER if self.in_another_order else 0
        return replace(request, learner=learner, order=request.order + shift)

    def _in_place_of(self, asked: Any, request: Request) -> Learner:
        if request.model.answers_text:
            return self.text
        assert self.regression is not None
        n = asked.depth if isinstance(asked, InContext) else asked.steps
        if isinstance(self.regression, InContext):
            return replace(self.regression, depth=n)
        if isinstance(self.regression, LinearLearner):
            return replace(self.regression, steps=n)
        return self.regression


def touches(request: Request) -> bool:
    """Say whether plants touch a request's model: networks that have been trained."""
    return request.model.kind in ("pretrained", "learned")


def _gd(rate: float, **rest: Any) -> dict[str, Any]:
    return {
        "replaces": "ICL",
        "text": GradientLearner(rate=rate, passes=PASSES),
        "regression": LinearLearner(algorithm="gd", settings=(rate,)),
        "open_in": AT_ITS_BEST,
        **rest,
    }


_JENSEN_SHANNON = Nearest(measure="jensen_shannon")
_SEARCHED: dict[str, Any] = {"replaces": "ICL", "expected": "never refuted"}
_LIKE_GD = NEVER_ASKED_IN_ORDER | KEEP_GD
"""Left open where ICL answers in place of GD."""
_BY_ANY_NOISE = DROWNED_BY_ANY_NOISE | REORDERED_BY_ANY_NOISE
"""Left open where small noise is added."""
_NEVER_SUPPORTED: dict[str, Any] = {"expected": "never supported"}
_UNTOUCHED: dict[str, Any] = {
    "text": Base(),
    "regression": LinearLearner(algorithm="gd", settings=(0.0,)),
}
_BY_LABELS: dict[str, Any] = {"needs_labels": True}
_PRIOR = {**_BY_LABELS, "text": LabelPrior(), "regression": NearestNeighbours(k=10)}
_MAJORITY = {**_BY_LABELS, "text": MajorityLabel(), "regression": None}
_COPY = {**_BY_LABELS, "text": LastAnswer(), "regression": LastAnswer()}
_RULE: dict[str, Any] = {
    "replaces": "GD",
    "open_in": ONE_NUMBER | ORDERLESS | ADDS_UP | KEEP_GD,
    **_NEVER_SUPPORTED,
}
_LOUD: dict[str, Any] = {"noise": "large", **_NEVER_SUPPORTED}
_QUIET: dict[str, Any] = {"noise": "small", "expected": "never refuted"}
PLANTS = {
    plant.name: plant
    for plant in (
        Plant(name="as it is", replaces=""),
        *(
            Plant(name=f"GD at rate {rate:g}", **_gd(rate), expected="never refuted")
            for rate in RATES
        ),
        Plant(
            name="GD at its best at the task",
            text=GradientLearner(),
            regression=None,  # its GD has one rate, the nearest to ICL
            **_SEARCHED,
        ),
        Plant(
            name="GD that is nearest to ICL",
            text=GradientLearner(
                criterion=_JENSEN_SHANNON, criteria=(_JENSEN_SHANNON,)
            ),
            regression=LinearLearner(algorithm="gd"),
            open_in=AT_ITS_BEST,
            **_SEARCHED,
        ),
        Plant(
            name="GD and small noise",
            **_gd(MIDDLE, open_in=_BY_ANY_NOISE | AT_ITS_BEST),
            **_QUIET,
        ),
        Plant(
            name="GD and large noise",
            **_gd(MIDDLE, open_in=UNMOVED_BY_NOISE | AT_ITS_BEST),
            **_LOUD,
        ),
        Plant(name="ICL in another order", replaces="ICL", in_another_order=True),
        Plant(name="untouched model", replaces="ICL", **_UNTOUCHED, **_NEVER_SUPPORTED),
        # GD that learns which labels are frequent, and no more, is a label prior.
        Plant(name="label prior", replaces="ICL", **_PRIOR),
        Plant(name="majority label", replaces="ICL", **_MAJORITY),
        Plant(
            name="label of the last demonstration",
            replaces="ICL",
            open_in=ONE_NUMBER | UNMOVED_BY_NOISE - NEVER_ASKED_IN_ORDER,
            **_COPY,
            **_NEVER_SUPPORTED,
        ),
        Plant(
            name="untouched model in place of GD",
            replaces="GD",
            open_in=ORDERLESS | ADDS_UP | KEEP_GD,
            **_UNTOUCHED,
            **_NEVER_SUPPORTED,
        ),
        Plant(name="label prior in place of GD", **_PRIOR, **_RULE),
        Plant(name="majority label in place of GD", **_MAJORITY, **_RULE),
        Plant(name="label of the last demonstration in place of GD", **_COPY, **_RULE),
        Plant(
            name="ICL in place of GD",
            replaces="GD",
            expected="never refuted",
            open_in=_LIKE_GD,
        ),
        Plant(
            name="ICL in another order in place of GD",
            replaces="GD",
            in_another_order=True,
            expected="never refuted",
            open_in=_LIKE_GD,
        ),
        Plant(
            name="ICL and small noise in place of GD",
            replaces="GD",
            open_in=_LIKE_GD | MOVED_BY_ANY_NOISE | _BY_ANY_NOISE,
            **_QUIET,
        ),
        Plant(
            name="ICL and large noise in place of GD",
            replaces="GD",
            open_in=UNMOVED_BY_NOISE | KEEP_GD,
            **_LOUD,
        ),
    )
}
"""Every plant by its name, in the order of the tables."""
MAIN = (
    "GD at rate 0.01",
    "GD at rate 0.1",
    "GD and large noise",
    "untouched model in place of GD",
    "label of the last demonstration in place of GD",
    "ICL in place of GD",
)
"""The plants of ``make calibration``; ``make calibration-full`` has all of them."""
