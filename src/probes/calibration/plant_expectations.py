"""Claims of which nothing is expected with some planted truths, each with its reason.

Most sets were written before their plants first ran. Four expectations were withdrawn
after a run had contradicted them, because the verdict was right: see
``MOVED_BY_ANY_NOISE``, ``NEVER_ASKED_IN_ORDER``, ``ORDERLESS`` and ``ADDS_UP``. So did
``same_accuracy_over_vocabulary``: it joined ``same_accuracy``, which is the same number
over fewer tokens, after a run had supported it under large noise. And so did
``same_sensitivity``: its margin became that of the paper, in absolute units, and on
``linear_scaled`` noise of a quarter of GD's small sensitivities is well inside. So was
that of ``REORDERED_BY_ANY_NOISE``.
"""

from __future__ import annotations

ONE_NUMBER = frozenset(
    {
        "same_accuracy",
        "same_accuracy_over_vocabulary",
        "same_calibration",
        "same_confidence",
        "same_data_efficiency",
        "labels_win_over_priors",
    }
)
"""Claims about one number of an answer, which learners may share that are otherwise
unlike each other."""
AT_ITS_BEST = frozenset({"same_learning_curve"})
"""Claims that compare ICL with GD at its best at the task. GD at another rate learns
less, so to refute them is right."""
UNMOVED_BY_NOISE = frozenset(
    {
        "all_demonstrations_count_alike",
        "all_demonstrations_count_alike_in_regression",
        "icl_covers_gd",
        "same_accuracy",
        "same_accuracy_over_vocabulary",
        "same_calibration",
        "same_data_efficiency",
        "same_order_sensitivity",
        "same_order_sensitivity_in_regression",
        "same_sensitivity",
        "labels_win_over_priors",
        "which_algorithm",
        "which_algorithm_on_text",
        "which_mixture_of_algorithms",
    }
)
"""Claims that large noise need not make false: it is the same in every order and as
large at every place, GD may be as accurate as a noisy ICL, noise moves ICL away from
every explanation, and a share of small sensitivities may lie inside a fixed margin."""
MOVED_BY_ANY_NOISE = frozenset({"which_algorithm"})
"""Claims with a margin so narrow, 1e-6, that no noise in place of GD is inside."""
DROWNED_BY_ANY_NOISE = frozenset(
    {
        "same_demonstration_influence",
        "same_demonstration_influence_in_regression",
    }
)
"""Claims about what one demonstration of many changes: small noise, which is new for
other demonstrations, may be as large."""
REORDERED_BY_ANY_NOISE = frozenset({"same_attention_to_demonstrations"})
"""Claims about ranks of which learning itself changes few. Small noise changes a good
part as many, so that it really lies outside the margin."""
NEVER_ASKED_IN_ORDER = frozenset({"same_order_sensitivity"})
"""Claims that ask for full-batch GD in several orders. Its requests have no order, so
that a learner in its place sees the same order each time and ignores it, unlike ICL."""
ORDERLESS = frozenset(
    {
        "all_demonstrations_count_alike",
        "all_demonstrations_count_alike_in_regression",
        "same_order_sensitivity_in_regression",
    }
)
"""Claims that hold of any two learners that ignore places. ICL of linear attention
does, and so does what learned nothing."""
ADDS_UP = frozenset({"demonstrations_add_up_in_regression"})
"""Claims that hold of any two learners whose single effects add up. Those of one layer
of linear attention do, whatever its weights are, and no effects add up to none."""
KEEP_GD = frozenset({"update_that_reproduces_icl_is_gds"})
"""Claims about GD's weights. Nothing else has such weights, so GD keeps its place."""
