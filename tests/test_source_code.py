"""A key covers the code that its learner reaches by import, all of it and no more."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from probes_fixtures.hmm_reference import HiddenMarkovPosterior

from probes import source_code
from probes.cards import ModelCard
from probes.errors import OptionError
from probes.hashing import seed_of
from probes.learners import (
    Activations,
    GradientLearner,
    Illustration,
    InContext,
    LinearLearner,
)
from probes.observations.learner_code import code_of
from probes.observations.request import Learner
from probes.source_code import code_digest, reached_from
from tests.support.cards import model, network
from tests.support.running import ROOT
from tests.support.sources import forget_sources

GD = GradientLearner(rate=0.1, passes=1)


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Give the file of a module in a copy, from which sources are read."""
    shutil.copytree(ROOT / "src/probes", tmp_path / "probes")
    real = source_code._file_of

    def copied(name: str) -> Path | None:
        path = real(name)
        if path is None or not name.startswith("probes."):
            return path
        return tmp_path / path.relative_to(ROOT / "src")

    copied.cache_clear = real.cache_clear  # type: ignore[attr-defined]
    monkeypatch.setattr(source_code, "_file_of", copied)
    forget_sources()

    def found(name: str) -> Path:
        path = copied(name)
        assert path is not None
        return path

    yield found
    forget_sources()


def reached(learner: Learner, card: ModelCard) -> frozenset[str]:
    seen: list[frozenset[str]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "probes.observations.learner_code.code_digest",
            lambda roots: seen.append(roots) or "",
        )
        code_of(learner, card)
    return reached_from(seen[0])


@pytest.mark.parametrize(
    ("learner", "card"),
    [
        (LinearLearner(algorithm="gd", steps=1), network("gd_1")),
        (Activations(of=GD), model("llama")),
    ],
    ids=["regression", "text"],
)
def test_an_edit_of_any_module_that_is_reached_changes_the_key(
    edit: Callable[[str], Path], learner: Learner, card: ModelCard
) -> None:
    before = code_of(learner, card)
    for name in sorted(reached(learner, card)):
        path = edit(name)
        text = path.read_text("utf-8")
        path.write_text(f"{text}\nedited = 1\n", "utf-8")
        forget_sources()
        assert code_of(learner, card) != before, name
        path.write_text(text, "utf-8")
    forget_sources()
    assert code_of(learner, card) == before


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("probes.learners.in_context", "\n", "\n# a comment\n"),
        ("probes.learners.in_context", '"""', '"""Another docstring. '),
        ("probes.report.matrix", "\n", "\nedited = 1\n"),
        ("probes.learners.task_vector", "\n", "\nedited = 1\n"),
        ("probes.models.training.trainer", "\n", "\nedited = 1\n"),
    ],
)
def test_comments_docstrings_and_other_modules_leave_the_key_as_it_is(
    edit: Callable[[str], Path], module: str, old: str, new: str
) -> None:
    card = model("llama")
    before = code_of(InContext(), card)
    path = edit(module)
    text = path.read_text("utf-8")
    at = text.index("from __future__ import annotations\n") if old == "\n" else 0
    path.write_text(text[:at] + text[at:].replace(old, new, 1), "utf-8")
    forget_sources()
    assert path.read_text("utf-8") != text
    assert code_of(InContext(), card) == before


def test_what_a_learner_answers_with_is_reached() -> None:
    names = reached(Activations(of=GD), model("llama"))
    assert {
        "probes.observations.observation",
        "probes.learners.gradient",  # the learner in its field
        "probes.models.training.trainer",  # imported when it runs
        "probes.models.llama.model",  # by what loads the model
        "probes.data.tokenization",
    } <= names
    assert "probes.learners.task_vector" not in names  # next to it in the package
    assert not any(name.startswith("probes.report") for name in names)


def test_a_regression_learner_does_not_reach_text_models() -> None:
    names = reached(InContext(), network("gd_1"))
    assert "probes.models.regression.linear_attention" in names
    assert not any(name.startswith("probes.models.llama") for name in names)


def test_a_learner_from_elsewhere_reaches_what_it_imports() -> None:
    names = reached(HiddenMarkovPosterior(), model("llama"))
    assert "probes_fixtures.training.hmm_process" in names


def test_modules_of_ones_own_are_followed_and_installed_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(
        "import helper\nimport numpy\nfrom probes import Observation\n"
    )
    (tmp_path / "helper.py").write_text("size = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    forget_sources()
    assert reached_from(["mine"]) >= {
        "mine",
        "helper",
        "probes.observations.observation",
    }
    before = code_digest(frozenset({"mine"}))
    (tmp_path / "helper.py").write_text("size = 2\n")
    forget_sources()
    assert code_digest(frozenset({"mine"})) != before


def test_packages_that_pip_installed_are_left_out_wherever_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/mine.py").write_text("import theirs\nimport numpy\nimport json\n")
    (tmp_path / "anywhere/theirs").mkdir(parents=True)
    (tmp_path / "anywhere/theirs/__init__.py").write_text("")
    for name in ("own", "anywhere"):
        monkeypatch.syspath_prepend(tmp_path / name)
    forget_sources()
    assert reached_from(["mine"]) == {"mine", "theirs"}
    (tmp_path / "anywhere/theirs-1.0.dist-info").mkdir()
    forget_sources()
    assert reached_from(["mine"]) == {"mine"}


def test_a_package_that_exports_a_name_from_itself_is_no_endless_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text("from around import made\n")
    (tmp_path / "around").mkdir()
    (tmp_path / "around/__init__.py").write_text("from . import made\n")
    monkeypatch.syspath_prepend(tmp_path)
    forget_sources()
    assert reached_from(["mine"]) == {"mine", "around"}


def test_a_module_without_a_spec_is_read_from_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "script.py"
    path.write_text("size = 1\n")
    script = ModuleType("script_by_hand")
    script.__file__ = str(path)
    monkeypatch.setitem(sys.modules, "script_by_hand", script)
    forget_sources()
    before = code_digest(frozenset({"script_by_hand"}))
    path.write_text("size = 2\n")
    forget_sources()
    assert code_digest(frozenset({"script_by_hand"})) != before


def test_what_keeps_a_model_is_reached() -> None:
    assert "probes.models.model_cache" in reached(InContext(), network("gd_1"))


LEARNER = (
    "from dataclasses import dataclass\n{line}\n\n"
    "@dataclass(frozen=True, kw_only=True)\nclass Theirs:\n"
    "    needs_model: bool = False\n\n"
    "    def observe(self, context):\n        return size\n"
)


@dataclass(frozen=True, kw_only=True)
class Named:
    """Holds learners by name."""

    of: dict[str, Any]
    needs_model: bool = True


WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "bare": lambda one: one,
    "Activations": lambda one: Activations(of=one),
    "Illustration": lambda one: Illustration(of=one),
    "both": lambda one: Activations(of=Illustration(of=one)),
    "by name": lambda one: Named(of={"theirs": one}),
}


@pytest.mark.parametrize(
    ("line", "helper"),
    [
        ("from {x}_helper import size", "{x}_helper.py"),
        ("from {x}_space.tools import size", "{x}_space/tools.py"),
        ("from {x}_space import tools as size", "{x}_space/tools.py"),
        ("import {x}_space.tools as size", "{x}_space/tools.py"),
    ],
    ids=["a module", "a name in a folder", "a module of a folder", "a dotted name"],
)
@pytest.mark.parametrize("wrap", WRAPPERS)
def test_an_edit_of_a_learner_from_elsewhere_or_its_imports_changes_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, helper: str, wrap: str
) -> None:
    unique = f"theirs_{seed_of(line, helper, wrap)}"  # each is imported once
    theirs, imported = tmp_path / f"{unique}.py", tmp_path / helper.format(x=unique)
    imported.parent.mkdir(exist_ok=True)  # a folder without __init__
    theirs.write_text(LEARNER.format(line=line.format(x=unique)))
    imported.write_text("size = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    learner = WRAPPERS[wrap](importlib.import_module(unique).Theirs())
    for edited in (theirs, imported):
        forget_sources()
        before = code_of(learner, model("llama"))
        edited.write_text(edited.read_text() + "edited = 1\n")
        forget_sources()
        assert code_of(learner, model("llama")) != before, edited


def test_a_learner_whose_module_has_lost_its_name_to_another_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learners = []
    for folder in ("one", "two"):  # as pytest does with two files conftest.py
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "twice.py").write_text(LEARNER.format(line="size = 1"))
        monkeypatch.delitem(sys.modules, "twice", raising=False)
        monkeypatch.syspath_prepend(tmp_path / folder)
        learners.append(importlib.import_module("twice").Theirs())
    forget_sources()
    code_of(learners[1], model("llama"))
    with pytest.raises(OptionError, match=r"one/twice\.py.*'twice' is now .*two"):
        code_of(Activations(of=learners[0]), model("llama"))
    monkeypatch.delitem(sys.modules, "twice")
    forget_sources()


def test_a_learner_without_source_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = ModuleType("typed_by_hand")
    monkeypatch.setitem(sys.modules, typed.__name__, typed)  # dataclass looks there
    exec(LEARNER.format(line="size = 1"), vars(typed))
    with pytest.raises(OptionError, match="Theirs .* whose source is in no file"):
        code_of(typed.Theirs(), model("llama"))
