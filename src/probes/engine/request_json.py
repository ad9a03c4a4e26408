"""Requests as JSON, so that workers are told what to measure without pickle.

A request is made of frozen dataclasses, tuples and plain values; a dataclass is named
by its module and class, and is built again by calling it. Nothing else can be named.
"""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import fields, is_dataclass
from typing import Any

from probes.errors import EngineError
from probes.observations.request import Request

CLASS, TUPLE = "class", "tuple"


def to_wire(request: Request) -> str:
    """Write a request as JSON.

    Raises:
        EngineError: A learner has a setting that JSON cannot hold.
    """
    return json.dumps(_plain(request))


def from_wire(text: str) -> Request:
    """Build a request again.

    Raises:
        EngineError: A class is not to be found here, or is no dataclass.
    """
    found = _built(json.loads(text))
    if not isinstance(found, Request):
        raise _unknown(type(found).__module__, type(found).__qualname__)
    return found


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        named = f"{type(value).__module__}:{type(value).__qualname__}"
        held = {f.name: _plain(getattr(value, f.name)) for f in fields(value) if f.init}
        return {CLASS: named, **{f".{name}": v for name, v in held.items()}}
    if isinstance(value, tuple | list):
        return {TUPLE: [_plain(v) for v in value]}
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise EngineError(
        f"A learner's setting {value!r} cannot be sent to a worker. Expected numbers, "
        f"texts, tuples and dataclasses of these. Change it, or run without --engine."
    )


def _built(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if TUPLE in value:
        return tuple(_built(v) for v in value[TUPLE])
    module, _, name = value[CLASS].partition(":")
    held = {k[1:]: _built(v) for k, v in value.items() if k.startswith(".")}
    return _class(module, name)(**held)


def _class(module: str, name: str) -> Any:
    try:
        found: Any = sys.modules.get(module) or importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise _unknown(module, name) from error
    if not (isinstance(found, type) and is_dataclass(found)):
        raise _unknown(module, name)
    return found


def _unknown(module: str, name: str) -> EngineError:
    return EngineError(
        f"A worker cannot build {module}:{name}. Expected a dataclass of a module that "
        f"workers can import. Put learners into an installed package, or run without "
        f"--engine."
    )
