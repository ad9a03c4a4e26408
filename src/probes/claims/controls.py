"""Name the controls among the observations that a claim asks for.

A claim asks for its controls as arguments. This table says in words what each of them
is, so that a claim does not have to repeat it.
"""

from __future__ import annotations

from collections.abc import Iterable

BASE = "the untouched model"
REORDERED = "ICL in another order"
RANDOM_UPDATE = "a random update as large"
OTHER_TRAINING = (
    RANDOM_UPDATE,
    "GD on shuffled labels",
    "GD on unrelated text",
)
UNTRAINED_NETWORK = "the untrained network"
UNTRAINED_NETWORKS = (
    UNTRAINED_NETWORK,
    "the network random except for embeddings and norms",
)

CONTROLS: dict[str, tuple[str, ...]] = {
    "arms": (BASE, RANDOM_UPDATE, *UNTRAINED_NETWORKS),
    "base": (BASE,),
    "base_reversed": (BASE,),
    "correcting_without_learning": (*OTHER_TRAINING, *UNTRAINED_NETWORKS),
    "directions_without_learning": (*OTHER_TRAINING, *UNTRAINED_NETWORKS),
    "distilled_again": ("an update that reproduces ICL on other queries",),
    "distilled_other_demonstrations": ("ICL after other demonstrations, reproduced",),
    "drawn_apart": ("how far apart two draws of random weights are",),
    "drift_over_training": ("how far the weights moved at each checkpoint",),
    "explanations": (
        BASE,
        "the label prior",
        "neighbours in representation",
        "layer-causal GD",
        "a task vector",
        "exact Bayes where the process is known",
    ),
    "gd_fewer_steps": ("GD of fewer steps",),
    "gd_influence": ("GD itself, by the same measure",),
    "gd_other_demonstrations": ("GD on other demonstrations",),
    "icl_disturbed": ("noise of .01, .03, .1 and .3 of the weights' size",),
    "icl_influence_reordered": (REORDERED,),
    "icl_other_demonstrations": ("ICL after other demonstrations",),
    "icl_curve": (BASE,),
    "icl_relabelled_reordered": (REORDERED,),
    "icl_reordered": (REORDERED,),
    "influence_arms": UNTRAINED_NETWORKS,
    "inside_base": (BASE,),
    "inside_icl_reordered": (REORDERED,),
    "mixture_without_gd": ("the best mixture without GD",),
    "notes_laws_of_curves": ("a martingale test of ICL and, where known, of Bayes",),
    "orderless_icl": (
        "ICL without order must itself gain over zero-shot and over redrawn labels",
    ),
    "relabelled_arms": (BASE, *UNTRAINED_NETWORKS),
    "icl_reversed_reordered": (REORDERED,),
    "rivals": (
        "GD++",
        "Newton",
        "ridge",
        "OLS",
        "one-pass SGD",
        "nearest neighbours",
    ),
    "step_runs": ("GD, GD++ and Newton after many numbers of steps",),
    "untrained_all_layers_patch": (UNTRAINED_NETWORK,),
    "untrained_icl_enciphered": (UNTRAINED_NETWORK,),
    "untrained_by_number": ("the untrained network's curves",),
    "untrained_context_patch": (UNTRAINED_NETWORK,),
    "untrained_curves": ("the untrained network's curves",),
    "untrained_demonstrations": (UNTRAINED_NETWORK,),
    "untrained_flipped_by_number": ("the untrained network's curves",),
    "untrained_gd": (UNTRAINED_NETWORK,),
    "untrained_gd_on_more": (UNTRAINED_NETWORK,),
    "untrained_icl": (UNTRAINED_NETWORK,),
    "untrained_icl_disturbed": ("the untrained network under the same noise",),
    "untrained_icl_drawn_twice": (
        "two draws of random weights, which learn nothing in context",
    ),
    "untrained_icl_orders": (UNTRAINED_NETWORK,),
    "untrained_pairs": (UNTRAINED_NETWORK,),
    "untrained_relabelled_one_by_one": (UNTRAINED_NETWORK,),
    "untrained_reversed": (UNTRAINED_NETWORK,),
    "untrained_weights": (UNTRAINED_NETWORK,),
    "without_learning": (*OTHER_TRAINING, *UNTRAINED_NETWORKS),
    "without_learning_from_order": (BASE, RANDOM_UPDATE),
    "worst_case": ("the worst task found",),
}
"""What each control is, by the name of its observation."""


def controls_among(observations: Iterable[str], further: str = "") -> str:
    """List in words what a claim is compared with.

    Args:
        observations: The names of the arguments of its test.
        further: Controls that are not observations.
    """
    named = [words for name in observations for words in CONTROLS.get(name, ())]
    return "; ".join(filter(None, dict.fromkeys([further, *named])))
