"""The written-out Llama family is reached through two seams: asking and training."""

from __future__ import annotations

from tests.support.imports import arrows, module_files

LLAMA = "probes.models.llama"
SEAMS = (
    "probes.models.causal_lm.",  # asks prompts
    "probes.models.training.llama_backend",  # computes gradients
    "probes.engine.matmul_peak",  # measures the products of frozen weights
)


def test_only_its_seams_import_the_llama_package() -> None:
    importing = {
        module
        for module, targets in arrows(module_files()).items()
        if any(target.startswith(LLAMA) for target in targets)
    }
    outside = {module for module in importing if not module.startswith(LLAMA)}
    assert "probes.models.training.llama_backend" in outside
    assert {module for module in outside if not module.startswith(SEAMS)} == set()


def test_training_knows_the_llama_backend_in_one_place() -> None:
    backend = "probes.models.training.llama_backend"
    found = arrows(module_files())
    assert {m for m, targets in found.items() if backend in targets} == {
        "probes.models.training.trainer"
    }
