"""A key has the releases of the libraries that compute an answer, and of no others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from probes import library_versions
from probes.cell import Settings
from probes.learners import Activations, Illustration, InContext, LinearLearner
from probes.library_versions import versions_of
from probes.observations.learner_code import libraries_of
from probes.observations.request import Request
from probes.run.grid import DATASETS
from tests.support.cards import model, network
from tests.support.sources import forget_sources


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Give releases that pretend to be installed."""
    pretended: dict[str, str] = {}
    real = library_versions._release
    monkeypatch.setattr(
        library_versions, "_release", lambda name: pretended.get(name) or real(name)
    )
    forget_sources()
    yield pretended
    forget_sources()


def test_an_upgrade_changes_the_key_of_a_request(release: dict[str, str]) -> None:
    def key() -> str:
        forget_sources()
        return Request(
            learner=LinearLearner(algorithm="gd", steps=1),
            model=network("gd_1"),
            dataset=DATASETS.get("linear"),
            n_demonstrations=10,
            settings=Settings(),
        ).key

    before = key()
    assert key() == before
    release["numpy"] = "99.1"
    assert key() != before


@pytest.mark.parametrize("library", ["numpy", "torch", "transformers", "tokenizers"])
def test_an_upgrade_of_what_computes_an_answer_changes_the_key(
    release: dict[str, str], library: str
) -> None:
    before = libraries_of(InContext(), model("llama"))
    release[library] = "99.1"
    forget_sources()
    after = libraries_of(InContext(), model("llama"))
    assert after == {**before, library: "99.1"}


def test_an_upgrade_of_what_text_models_need_leaves_regression_as_it_is(
    release: dict[str, str],
) -> None:
    before = libraries_of(InContext(), network("gd_1"))
    release["transformers"] = "99.1"
    forget_sources()
    assert libraries_of(InContext(), network("gd_1")) == before


def test_what_only_fetches_or_locks_is_left_out() -> None:
    assert set(libraries_of(InContext(), model("llama"))) == {
        "numpy",
        "torch",
        "transformers",
        "tokenizers",
    }


def test_a_build_of_the_same_release_is_the_same_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(library_versions, "version", lambda name: "2.13.0+cu128")
    library_versions._release.cache_clear()
    assert versions_of(["torch"]) == {"torch": "2.13.0"}
    library_versions._release.cache_clear()


@pytest.mark.parametrize("wrap", [None, Activations, Illustration])
def test_a_learner_from_elsewhere_adds_the_libraries_that_it_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrap: type | None
) -> None:
    (tmp_path / "with_scipy.py").write_text(
        "from dataclasses import dataclass\n"
        "from scipy import stats\n\n"
        "@dataclass(frozen=True)\nclass Theirs:\n    needs_model: bool = False\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    forget_sources()
    from with_scipy import Theirs  # type: ignore[import-not-found]

    learner = Theirs() if wrap is None else wrap(of=Theirs())
    assert "scipy" in libraries_of(learner, model("llama"))


def test_a_name_that_is_imported_leads_to_the_distribution() -> None:
    pytest.importorskip("PIL")  # comes with matplotlib
    assert versions_of(["PIL"])["PIL"].startswith("pillow ")
