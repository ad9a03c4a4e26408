"""The code and the libraries on which an answer depends, as parts of its key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any

from probes.cards import ModelCard
from probes.library_versions import versions_of
from probes.models.loaders import loader_path
from probes.source_code import code_digest, libraries_reached, require_source

REQUEST = "probes.observations.request"
"""The module that draws rows and tasks, and hands them to a learner."""


def code_of(learner: Any, model: ModelCard) -> str:
    """Hash the code between a request and its answer.

    This is the code of the learner and of the learners in its fields, the code that
    draws its rows or tasks, the code that loads and keeps its model, and everything
    that these reach by import. The observer only hands the answer on; it is left out.

    Raises:
        OptionError: The source of a learner cannot be read.
    """
    return code_digest(_roots_of(learner, model))


def libraries_of(learner: Any, model: ModelCard) -> dict[str, str]:
    """Give the versions of the installed libraries that this code reaches by import."""
    return dict(_versions_reached(_roots_of(learner, model)))


@lru_cache(maxsize=4096)
def _versions_reached(roots: frozenset[str]) -> dict[str, str]:
    return versions_of(libraries_reached(roots))


def _roots_of(learner: Any, model: ModelCard) -> frozenset[str]:
    roots = {REQUEST, *_modules_of(learner)}
    if learner.needs_model:
        roots |= {loader_path(model)[0], "probes.models.model_cache"}
    return frozenset(roots)


def _modules_of(value: Any) -> Iterator[str]:
    """Name the modules of a dataclass and of the dataclasses in its fields."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, tuple | list):
        for part in value:
            yield from _modules_of(part)
    elif is_dataclass(value) and not isinstance(value, type):
        require_source(type(value))
        yield type(value).__module__
        for field in fields(value):
            yield from _modules_of(getattr(value, field.name))
