"""What an engine says of a request, and how it travels: JSON and entries, no pickle."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, Protocol

import probes.errors
from probes.errors import EngineError, ProbesError
from probes.observations.request import Request

MOST_FRAME = 1 << 34  # bytes; a longer frame is noise in the pipe


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of one request.

    Attributes:
        key: Its content key.
        measured: Keys measured for it: its own, and those that it needed.
        reused: Keys that were there already.
        n_forward: Forward passes made for it.
        error: Why it cannot be answered, as (class, message); None if it was.
        notes: Lines of warning.
        entries: What was measured and could not be stored there, by key.
    """

    key: str
    measured: tuple[str, ...] = ()
    reused: tuple[str, ...] = ()
    n_forward: int = 0
    error: tuple[str, str] | None = None
    notes: tuple[str, ...] = ()
    entries: tuple[tuple[str, bytes], ...] = ()

    @property
    def fault(self) -> ProbesError | None:
        """The error that a test is to meet; None where it has to meet it itself."""
        if self.error is None:
            return None
        name, told = self.error
        kind = getattr(probes.errors, name, None)
        if isinstance(kind, type) and issubclass(kind, ProbesError):
            return kind(told)
        return None  # a bug: the test runs into it, and shows where

    def packed(self) -> tuple[str, list[bytes]]:
        """Give the answer as JSON and the bytes beside it."""
        told = {**vars(self), "entries": [key for key, _ in self.entries]}
        return json.dumps(told), [data for _, data in self.entries]

    @classmethod
    def unpacked(cls, text: str, blobs: Sequence[bytes]) -> Answer:
        """Build an answer from what :meth:`packed` gave."""
        told: dict[str, Any] = json.loads(text)
        for name in ("measured", "reused", "notes"):
            told[name] = tuple(told[name])
        told["error"] = told["error"] and tuple(told["error"])
        told["entries"] = tuple(zip(told["entries"], blobs, strict=True))
        return cls(**told)


class Engine(Protocol):
    """Where the observations of a plan are measured."""

    def measure(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """Answer every request once, in any order, until all are answered."""

    def close(self) -> None:
        """End every worker, whatever it is doing."""


def lost(request: Request, n_deaths: int, told: str) -> Answer:
    """Give up a request that workers keep dying of."""
    error = EngineError(
        f"{n_deaths} workers died while they measured "
        f"{type(request.learner).__name__} on {request.model.name}: {told}. Expected "
        f"workers that live. Look for memory that runs out, or run without --engine."
    )
    return Answer(key=request.key, error=("EngineError", str(error)))


def send(stream: IO[bytes], text: str, blobs: Sequence[bytes] = ()) -> None:
    """Write one frame: how many parts, and each with its length before it."""
    parts = [text.encode(), *blobs]
    stream.write(len(parts).to_bytes(8, "little"))
    for part in parts:
        stream.write(len(part).to_bytes(8, "little") + part)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[str, list[bytes]] | None:
    """Read one frame; None where the other side is gone.

    Raises:
        EngineError: What comes is no frame.
    """
    try:
        n_parts = _number(stream)
        parts = [_exactly(stream, _number(stream)) for _ in range(n_parts)]
        return parts[0].decode(), parts[1:]
    except EOFError:
        return None


def _number(stream: IO[bytes]) -> int:
    number = int.from_bytes(_exactly(stream, 8), "little")
    if number > MOST_FRAME:
        raise EngineError(
            f"A worker sent a part of {number} bytes. Expected at most {MOST_FRAME}. "
            f"Look for a library that writes to a worker's pipe."
        )
    return number


def _exactly(stream: IO[bytes], n_bytes: int) -> bytes:
    data = stream.read(n_bytes)
    if len(data) < n_bytes:
        raise EOFError
    return data
