"""How large and how fast: ten thousand cells planned, stored cells judged, engines.

Each figure stands beside the bound that it is held to; a bound that a busy machine
misses is shown as missed.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.stage import ROOT, Play, Stage, environment
from tests.faults.cluster import Cluster


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A measured number beside its bound.

    Attributes:
        name: What was measured.
        value: The number.
        unit: Its unit.
        bound: What it is held to.
        holds: Whether it keeps to it.
    """

    name: str
    value: float
    unit: str
    bound: str
    holds: bool


LARGE = (
    *("--models", "constructed_gd_1,constructed_gd_4,constructed_gdpp_4,spoiled_gd_1"),
    *("--datasets", "linear,linear_unit,linear_skewed,linear_noisy"),
)
