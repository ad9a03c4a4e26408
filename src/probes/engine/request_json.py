"""Write requests as JSON, so that workers receive them without pickle.

A request consists of frozen dataclasses, tuples and plain values. A dataclass is
written as its module, its class and its fields, and is rebuilt by calling the class.
Nothing else can be written.
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


def request_to_json(request: Request) -> str:
    """Write a request as JSON.

    Raises:
        EngineError: A learner has a setting that JSON cannot hold.
    """
    return json.dumps(_plain(request))


def request_from_json(text: str) -> Request:
    """Rebuild a request from JSON.

    Raises:
        EngineError: A class cannot be imported here, or is not a dataclass.
    """
    request = _rebuilt(json.loads(text))
    if not isinstance(request, Request):
        raise _unknown(type(request).__module__, type(request).__qualname__)
    return request


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        name = f"{type(value).__module__}:{type(value).__qualname__}"
        held = {f.name: _plain(getattr(value, f.name)) for f in fields(value) if f.init}
        return {CLASS: name, **{f".{field}": v for field, v in held.items()}}
    if isinstance(value, tuple | list):
        return {TUPLE: [_plain(v) for v in value]}
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise EngineError(
        f"A learner's setting {value!r} cannot be sent to a worker. Expected numbers, "
        f"texts, tuples and dataclasses of these. Change it, or run without --engine."
    )


def _rebuilt(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if TUPLE in value:
        return tuple(_rebuilt(v) for v in value[TUPLE])
    module, _, name = value[CLASS].partition(":")
    held = {k[1:]: _rebuilt(v) for k, v in value.items() if k.startswith(".")}
    return _dataclass(module, name)(**held)


def _dataclass(module: str, name: str) -> Any:
    try:
        target: Any = sys.modules.get(module) or importlib.import_module(module)
        for part in name.split("."):
            target = getattr(target, part)
    except (ImportError, AttributeError) as error:
        raise _unknown(module, name) from error
    if not (isinstance(target, type) and is_dataclass(target)):
        raise _unknown(module, name)
    return target


def _unknown(module: str, name: str) -> EngineError:
    return EngineError(
        f"A worker cannot build {module}:{name}. Expected a dataclass of a module that "
        f"workers can import. Put learners into an installed package, or run without "
        f"--engine."
    )
