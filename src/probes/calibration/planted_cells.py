"""The cells in which planted truths are judged: every claim that ICL is GD.

Claims and variants of which a planted GD says nothing are left out: those about other
optimisers and sub-models, about rivals of GD, and about the weights themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from probes.cards import Family

OUTPUT, UPDATES = "claims/test_output.py", "claims/test_updates.py"
CONSTRUCTION = "claims/test_construction.py"
LABELS, SINGLE = "claims/test_labels.py", "claims/test_demonstrations.py"
DIRECTIONS = "claims/test_update_directions.py"


@dataclass(frozen=True, kw_only=True)
class PlantedCells:
    """Cells that one run of pytest judges.

    Attributes:
        name: In tables and in names of folders.
        family: The tasks.
        models: Names of models.
        datasets: Names of datasets.
        n_demonstrations: Demonstrations before each query.
        tests: Tests as pytest names them.
        sizes: Options of pytest in place of the default effort and sizes.
        redraws: How often every cell is judged, each time on ten of its sets; 0: once,
            on all sets.
        open_answers: Whether answers are words of the vocabulary. Rules that count
            labels, and noise on all log-probabilities, then have nothing to work on.
        takes_long: Whether ``make calibration`` leaves them to ``calibration-full``.
    """

    name: str
    family: Family
    models: tuple[str, ...]
    datasets: tuple[str, ...]
    n_demonstrations: int
    tests: tuple[str, ...]
    sizes: tuple[str, ...] = ()
    redraws: int = 0
    open_answers: bool = False
    takes_long: bool = False

    @property
    def arguments(self) -> list[str]:
        """The arguments of pytest that select these cells and no others."""
        return [
            *self.tests,
            *("--models", ",".join(self.models)),
            *("--datasets", ",".join(self.datasets)),
            *("--demos", str(self.n_demonstrations)),
            *self.sizes,
        ]


def _tests(
    file: str, claims: Iterable[str], where: Sequence[str] = (), variant: str = ""
) -> tuple[str, ...]:
    """Name tests: in every cell, or in given cells of one variant."""
    ends = [f"[{'-'.join(filter(None, (cell, variant)))}]" for cell in where] or [""]
    return tuple(f"{file}::test_{claim}{end}" for claim in claims for end in ends)


_HMM = ("hmm_llama-hmm-16",)
TEXT = PlantedCells(
    name="text",
    family="text",
    models=("hmm_llama",),
    datasets=("hmm",),
    n_demonstrations=16,  # with 8, the gate dismisses some seeds
    tests=(
        *_tests(
            OUTPUT,
            ("same_accuracy", "same_accuracy_over_vocabulary", "same_top_tokens",
             "same_confidence", "same_distribution"),
            _HMM,
            "gd",
        ),
        *_tests(OUTPUT, ("which_algorithm_on_text",)),
        *_tests(
            UPDATES,
            ("icl_covers_gd", "same_update", "same_attention_change",
             "same_attention_to_demonstrations", "same_activations"),
        ),
        *_tests(UPDATES, ("same_representations",), _HMM, "gd"),
        *_tests(LABELS, ("labels_move_icl_as_they_move_gd",)),
        *_tests("claims/test_order.py", ("same_order_sensitivity",), _HMM, "gd"),
        *_tests("claims/test_calibration.py", ("same_calibration",), _HMM, "gd"),
    ),
)  # fmt: skip


def _more_text(name: str, *tests: str) -> PlantedCells:
    """Judge other claims on the same rows, which takes much longer."""
    return replace(TEXT, name=name, tests=tests, takes_long=True)


TEXT_SINGLE = _more_text(
    "text, single demonstrations",
    *_tests(
        SINGLE,
        ("demonstrations_add_up", "all_demonstrations_count_alike",
         "same_demonstration_influence"),
    ),
)  # fmt: skip
"""These train once for each demonstration."""
TEXT_BY_NUMBER = _more_text(
    "text by number",
    *_tests(OUTPUT, ("same_data_efficiency",)),
    *_tests(LABELS, ("labels_win_over_priors",)),
    *_tests("claims/test_learning_curve.py", ("same_learning_curve",)),
)
"""These train after every number of demonstrations."""
TEXT_DISTILLED = _more_text(
    "text, distilled", *_tests(DIRECTIONS, ("update_that_reproduces_icl_is_gds",))
)
_LINEAR = ("linear", "linear_scaled", "linear_shifted")
_SMOLLM2 = ("smollm2_135m-singular_plural-4",)
TEXT_WORDS = PlantedCells(
    name="text, words",
    family="text",
    models=("smollm2_135m",),
    datasets=("singular_plural",),
    n_demonstrations=4,
    tests=(
        *_tests(
            OUTPUT,
            ("same_accuracy", "same_top_tokens", "same_confidence",
             "same_distribution"),
            _SMOLLM2,
            "gd",
        ),
        *_tests("claims/test_order.py", ("same_order_sensitivity",), _SMOLLM2, "gd"),
    ),
    sizes=("--effort", "quick", "--sets", "20", "--orders", "3"),
    redraws=200,
    open_answers=True,
    takes_long=True,
)  # fmt: skip
"""A pretrained model that answers with words, at the effort of the natural study."""
TEXT_REDRAWN = replace(
    TEXT, name="text, redrawn", sizes=("--sets", "40"), redraws=200, takes_long=True
)
"""The eight concepts of ``hmm`` have train rows for 48 sets."""
REGRESSION = PlantedCells(
    name="regression",
    family="regression",
    models=("learned_lsa_1", "learned_lsa_5"),
    datasets=_LINEAR,
    n_demonstrations=10,
    tests=(
        *_tests(
            CONSTRUCTION,
            ("one_layer_is_one_step", "same_sensitivity", "which_algorithm",
             "depth_is_steps", "same_rule_elsewhere", "same_loss_elsewhere",
             "prior_mean"),
        ),
        *_tests(
            CONSTRUCTION,
            ("k_layers_are_k_steps",),
            [f"learned_lsa_5-{name}-10" for name in _LINEAR],
            "gd",
        ),
        *_tests(
            "claims/test_order.py",
            ("same_order_sensitivity_in_regression",),
            [f"{model}-{name}-10" for model in ("learned_lsa_1", "learned_lsa_5")
             for name in _LINEAR],
            "gd",
        ),
    ),
)  # fmt: skip
REGRESSION_REDRAWN = replace(
    REGRESSION,
    name="regression, redrawn",
    sizes=("--sets", "100"),
    redraws=200,
    takes_long=True,
)
_SKEWED = ("linear", "linear_skewed")
REGRESSION_SINGLE = replace(
    REGRESSION,
    name="regression, single demonstrations and mixtures",
    datasets=_SKEWED,
    tests=(
        *_tests(
            SINGLE,
            ("demonstrations_add_up_in_regression",
             "all_demonstrations_count_alike_in_regression",
             "same_demonstration_influence_in_regression"),
        ),
        *_tests("claims/test_mixture.py", ("which_mixture_of_algorithms",)),
        *_tests(
            "claims/test_preconditioning.py",
            ("preconditioned_gd",),
            [f"{model}-linear_skewed-10" for model in REGRESSION.models],
            "gd",
        ),
    ),
)  # fmt: skip
PARTS = {
    part.name: part
    for part in (
        TEXT,
        TEXT_SINGLE,
        TEXT_BY_NUMBER,
        TEXT_DISTILLED,
        TEXT_WORDS,
        TEXT_REDRAWN,
        REGRESSION,
        REGRESSION_REDRAWN,
        REGRESSION_SINGLE,
    )
}
