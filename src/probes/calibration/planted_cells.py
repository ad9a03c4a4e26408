"""The cells in which planted truths are judged: every claim that ICL is GD.

Claims and variants of which a planted GD says nothing are left out: those about other
optimisers and sub-models, about rivals of GD, and about the weights themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

OUTPUT, UPDATES = "claims/test_output.py", "claims/test_updates.py"
CONSTRUCTION = "claims/test_construction.py"


@dataclass(frozen=True, kw_only=True)
class PlantedCells:
    """Cells that one run of pytest judges.

    Attributes:
        name: In tables and in names of folders.
        models: Names of models.
        datasets: Names of datasets.
        n_demonstrations: Demonstrations before each query.
        tests: Tests as pytest names them.
    """

    name: str
    models: tuple[str, ...]
    datasets: tuple[str, ...]
    n_demonstrations: int
    tests: tuple[str, ...]

    @property
    def arguments(self) -> list[str]:
        """The arguments of pytest that select these cells and no others."""
        return [
            *self.tests,
            *("--models", ",".join(self.models)),
            *("--datasets", ",".join(self.datasets)),
            *("--demos", str(self.n_demonstrations)),
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
    models=("hmm_llama",),
    datasets=("hmm",),
    n_demonstrations=16,  # with 8, the gate dismisses some seeds
    tests=(
        *_tests(
            OUTPUT,
            ("same_accuracy", "same_top_tokens", "same_confidence",
             "same_distribution"),
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
        *_tests("claims/test_labels.py", ("labels_move_icl_as_they_move_gd",)),
        *_tests("claims/test_order.py", ("same_order_sensitivity",), _HMM, "gd"),
        *_tests("claims/test_calibration.py", ("same_calibration",), _HMM, "gd"),
    ),
)  # fmt: skip
TEXT_BY_NUMBER = PlantedCells(
    name="text by number",
    models=TEXT.models,
    datasets=TEXT.datasets,
    n_demonstrations=TEXT.n_demonstrations,
    tests=_tests(OUTPUT, ("same_data_efficiency",)),
)
"""Apart, because it trains after every number of demonstrations."""
_LINEAR = ("linear", "linear_scaled", "linear_shifted")
REGRESSION = PlantedCells(
    name="regression",
    models=("learned_lsa_1", "learned_lsa_5"),
    datasets=_LINEAR,
    n_demonstrations=10,
    tests=(
        *_tests(
            CONSTRUCTION,
            ("one_layer_is_one_step", "same_sensitivity", "which_algorithm",
             "depth_is_steps", "same_rule_elsewhere", "prior_mean"),
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
PARTS = {part.name: part for part in (TEXT, REGRESSION, TEXT_BY_NUMBER)}
