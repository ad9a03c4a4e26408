"""Does ICL depend on the order of its demonstrations as GD does? (Order; Shen.)"""

from __future__ import annotations

from probes.claims import claim
from probes.judge import Judge
from probes.measures import (
    answer_order_sensitivity,
    label_order_sensitivity,
    order_sensitivity,
    relative_order_sensitivity,
)
from probes.observation import Observation

OPTIMISERS = ("gd", "sgd_one_pass", "sgd_fixed", "sgd_reshuffled", "adam")


@claim(
    "ICL depends on the order of its demonstrations as much as gradient descent does.",
    source="Shen et al. 2024, Theorem 1 and Figure 2 (refutes it for LLaMA-7B)",
    on="text",
    variants=OPTIMISERS,
    needs_icl=True,
    formula="Sen: standard deviation of each token's probability over orders, "
    "summed; ICL − learner",
    refuted_if="a mean difference beyond ±.03",
    controls="full-batch GD, which is 0; label-space Sen; Sen over other "
    "demonstrations",
    reported="ICL .150; Adam .062 to .017; SGD .054 to .010; GD 0 (LLaMA-7B, AG News)",
)
def test_same_order_sensitivity(
    icl_orders: list[Observation],
    icl_other_demonstrations: Observation,
    gd_orders: list[Observation],
    gd_other_demonstrations: Observation,
    judge: Judge,
) -> None:
    judge.shows(
        ICL=relative_order_sensitivity(icl_orders, icl_other_demonstrations),
        GD=relative_order_sensitivity(gd_orders, gd_other_demonstrations),
    )
    judge.shows(ICL=label_order_sensitivity(icl_orders))
    judge.shows(GD=label_order_sensitivity(gd_orders))
    ours, theirs = order_sensitivity(icl_orders), order_sensitivity(gd_orders)
    judge.shows(ICL=ours, GD=theirs)
    judge.agrees(ours.minus(theirs), margin=0.03)  # a fifth of ICL's .150 in the paper


@claim(
    "On regression tasks, ICL depends on the order of its demonstrations as GD does.",
    source="Shen et al. 2024, Theorem 1",
    on="regression",
    needs_icl=True,
    variants=("gd", "sgd_one_pass", "sgd_fixed", "sgd_reshuffled"),
    formula="standard deviation of the answer over orders, over the answers' root mean "
    "square; ICL − learner",
    refuted_if="a mean difference beyond ±.01",
    controls="full-batch GD, which is 0; constructions that are not GD and ignore "
    "order too",
    reported="not measured",
)
def test_same_order_sensitivity_in_regression(
    icl_orders: list[Observation], gd_orders: list[Observation], judge: Judge
) -> None:
    ours, theirs = map(answer_order_sensitivity, (icl_orders, gd_orders))
    judge.shows(ICL=ours, GD=theirs)
    judge.agrees(ours.minus(theirs), margin=0.01)  # a hundredth of the answers' size
