"""The versions of installed libraries on which an answer depends.

An answer is computed by numpy, torch and transformers, or by what else a learner
imports. A release may mend a wrong kernel or change a tokenizer, so the release is part
of a content key, down to its last number. The build (``+cpu``, ``+cu128``) is not: the
device is in the key already, and builds of one release have the same code.

Libraries that only fetch, lock or read files are left out: a key has the content of
what they bring. Python's own version counts through the syntax trees, whose form each
minor version changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version

BENEATH = {"transformers": ("tokenizers",)}
"""Libraries that others import for us, and that are upgraded on their own."""
FETCHING = frozenset(
    {"accelerate", "datasets", "filelock", "huggingface_hub", "safetensors"}
)
COMMON = ("numpy", "torch", *BENEATH, *BENEATH["transformers"])
"""Those on which the learners of this project depend."""


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """Give the release of each installed library, by the name that is imported.

    Args:
        packages: Names as they are imported, such as ``sklearn``. Those that are not
            installed, and those that only fetch files, are left out.
    """
    named = set(packages) - FETCHING
    for name in named & set(BENEATH):
        named |= set(BENEATH[name])
    found = {name: _release(name) for name in sorted(named)}
    return {name: release for name, release in found.items() if release}


@lru_cache(maxsize=256)
def _release(package: str) -> str:
    """Find the release of a library; empty if nothing installed it."""
    try:
        return version(package).partition("+")[0]
    except PackageNotFoundError:
        pass
    names = _distributions().get(package, ())
    return ", ".join(f"{name} {version(name).partition('+')[0]}" for name in names)


@lru_cache(maxsize=1)
def _distributions() -> dict[str, list[str]]:
    """List what installed each package: ``sklearn`` comes from scikit-learn."""
    return {k: sorted(set(v)) for k, v in packages_distributions().items()}
