"""How often a gate is wrong: it hides a gain that is there, or lets none pass.

``false_refuted`` is the share of true gains that are dismissed as *not applicable*,
``false_supported`` the share of gains of 0 that pass, and ``power`` the share of true
gains that pass. The rest are *inconclusive*.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from probes.calibration.simulations import Simulation
from probes.calibration.study import HOME, ErrorRates
from probes.hashing import seed_of
from probes.verdicts.gain import gain_flags
from probes.verdicts.thresholds import LEAST_GAIN

RULE = "gate"
GAIN_IN_ERRORS = 4.0
"""Standard errors of a true gain that no gate should dismiss."""
TRUE_GAINS = {
    "no gain": 0.0,
    "a gain of a fifth of the least": 0.2,
    "the least gain": 1.0,
    "twice the least gain": 2.0,
}
"""In units of ``LEAST_GAIN``. All but the first are GAIN_IN_ERRORS standard errors."""
DESIGNS = ((5, 40), HOME)


def gate_error_rates(simulation: Simulation, *, runs: int) -> Iterator[ErrorRates]:
    """Test gains of known size, with the spread of a simulation."""
    for n_sets, n_queries in DESIGNS:
        rng = np.random.default_rng(seed_of(RULE, simulation.name, n_sets))
        values = simulation.values(rng, runs, n_sets, n_queries)
        error = simulation.shares.error(n_sets, n_queries)
        for name, size in TRUE_GAINS.items():
            gain = (size or 1.0) * LEAST_GAIN
            drawn = values * gain / (GAIN_IN_ERRORS * error) + size * LEAST_GAIN
            clear, excluded = gain_flags(drawn)
            yield ErrorRates(
                rule=RULE,
                simulation=simulation.name,
                n_sets=n_sets,
                n_queries=n_queries,
                truth=name,
                false_supported=None if size else float(clear.mean()),
                false_refuted=float(excluded.mean()) if size else None,
                power=float(clear.mean()) if size else None,
                runs=runs,
            )
