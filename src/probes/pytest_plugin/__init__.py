"""Every hook into pytest, each a few lines that call the layers below.

The only package of ``probes`` that imports pytest. ``observation`` turns a recipe into
a fixture; the rest is hooks and the fixtures that claims name.
"""

from probes.pytest_plugin.fixtures import observation

__all__ = ["observation"]

pytest_plugins = [
    f"probes.pytest_plugin.{room}"
    for room in (
        "start",
        "collection",
        "engines",
        "fixtures",
        "judging",
        "looking",
        "reporting",
        "workers",
        "store",
    )
]
