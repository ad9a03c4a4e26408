"""What engines have in common: the result of a request, and the frames on the pipes.

Results travel as JSON, followed by the bytes of observations. Nothing is pickled.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, Protocol

import probes.errors
from probes.errors import EngineError, ProbesError
from probes.observations.request import Request

LARGEST_PART = 1 << 34  # bytes; a longer part of a frame is noise in the pipe


@dataclass(frozen=True, kw_only=True)
class RequestResult:
    """The result of one request.

    Attributes:
        key: The content key of the request.
        measured: Keys of the observations measured for it, its own and others.
        reused: Keys of the observations that were already stored.
        n_forward: Forward passes made for it.
        error: Why the request failed, as (class, message); None if it did not.
        notes: Lines of warning.
        entries: Observations that the worker could not store: key and encoded bytes.
    """

    key: str
    measured: tuple[str, ...] = ()
    reused: tuple[str, ...] = ()
    n_forward: int = 0
    error: tuple[str, str] | None = None
    notes: tuple[str, ...] = ()
    entries: tuple[tuple[str, bytes], ...] = ()

    @property
    def probes_error(self) -> ProbesError | None:
        """The error to raise in every test that needs this request.

        None if there was no error, or if it was a bug: then the test measures again,
        and its traceback shows where the bug is.
        """
        if self.error is None:
            return None
        name, message = self.error
        kind = getattr(probes.errors, name, None)
        if isinstance(kind, type) and issubclass(kind, ProbesError):
            return kind(message)
        return None

    def to_frame(self) -> tuple[str, list[bytes]]:
        """Write the result as JSON, followed by the bytes of its observations."""
        values = {**vars(self), "entries": [key for key, _ in self.entries]}
        return json.dumps(values), [data for _, data in self.entries]

    @classmethod
    def from_frame(cls, text: str, blobs: Sequence[bytes]) -> RequestResult:
        """Read what :meth:`to_frame` wrote."""
        values: dict[str, Any] = json.loads(text)
        for name in ("measured", "reused", "notes"):
            values[name] = tuple(values[name])
        values["error"] = values["error"] and tuple(values["error"])
        values["entries"] = tuple(zip(values["entries"], blobs, strict=True))
        return cls(**values)


class Engine(Protocol):
    """A place where the observations of a plan are measured."""

    def measure(self, requests: Sequence[Request]) -> Iterator[RequestResult]:
        """Measure every request once, and give the results in any order."""

    def close(self) -> None:
        """Stop every worker, whatever it is doing."""


def given_up(request: Request, n_deaths: int, last_words: str) -> RequestResult:
    """Give up a request whose workers died every time.

    Args:
        request: The request.
        n_deaths: How many workers died.
        last_words: What the last worker wrote before it died.
    """
    error = EngineError(
        f"{n_deaths} workers died while they measured "
        f"{type(request.learner).__name__} on {request.model.name}: {last_words}. "
        f"Expected workers that finish. Check whether memory runs out, or run without "
        f"--engine."
    )
    return RequestResult(key=request.key, error=("EngineError", str(error)))


def hung(request: Request, seconds: float | None) -> RequestResult:
    """Give up a request whose worker did not come back to Python in time.

    Args:
        request: The request.
        seconds: The time limit.
    """
    message = (
        f"{type(request.learner).__name__} on {request.model.name} hung for more than "
        f"{seconds or 0:g} s and did not come back to Python. Expected an answer "
        f"within --time-limit. Raise it, or find out why the model hangs."
    )
    return RequestResult(key=request.key, error=("TimeLimitError", message))


def send(stream: IO[bytes], text: str, blobs: Sequence[bytes] = ()) -> None:
    """Write one frame: the number of parts, then each part after its length."""
    parts = [text.encode(), *blobs]
    stream.write(len(parts).to_bytes(8, "little"))
    for part in parts:
        stream.write(len(part).to_bytes(8, "little") + part)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[str, list[bytes]] | None:
    """Read one frame; None if the other side is gone.

    Raises:
        EngineError: The bytes are not a frame.
    """
    try:
        n_parts = _number(stream)
        parts = [_exactly(stream, _number(stream)) for _ in range(n_parts)]
        return parts[0].decode(), parts[1:]
    except EOFError:
        return None


def _number(stream: IO[bytes]) -> int:
    number = int.from_bytes(_exactly(stream, 8), "little")
    if number > LARGEST_PART:
        raise EngineError(
            f"A worker sent a part of {number} bytes. Expected at most {LARGEST_PART}. "
            f"Look for a library that writes to a worker's pipe."
        )
    return number


def _exactly(stream: IO[bytes], n_bytes: int) -> bytes:
    data = stream.read(n_bytes)
    if len(data) < n_bytes:
        raise EOFError
    return data
