"""Every hook into pytest, each a few lines that call the layers below.

The only package of ``probes`` that imports pytest. ``observation`` turns a recipe into
a fixture; the rest is hooks and the fixtures that claims name.
"""

from probes.pytest_plugin.fixtures import observation

__all__ = ["observation"]

pytest_plugins = [
    f"probes.pytest_plugin.{module}"
    for module in (
        "start",
        "collection",
        "measured_first",
        "fixtures",
        "judging",
        "repeated_looks",
        "reporting",
        "xdist_workers",
        "store_limit",
    )
]
