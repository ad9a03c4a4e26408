"""Numbers that the published codes gave on fixed inputs; they do not ship with us.

``PROBES_VECTORS=FOLDER`` names the folder with the ``*.npz`` files. Where it is not set
the tests that read them are skipped; remove the skip once the numbers may be shipped.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def vectors(name: str) -> dict[str, Any]:
    """Read one file of numbers, or skip the test that asks for it."""
    folder = os.environ.get("PROBES_VECTORS")
    if not folder:
        pytest.skip("PROBES_VECTORS does not name the folder of published numbers")
    with np.load(Path(folder) / f"{name}.npz", allow_pickle=False) as file:
        return dict(file)
