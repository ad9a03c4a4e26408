"""The pytest plugin: every hook, each a few lines that call the layers below.

No other package of ``probes`` imports pytest.

- ``start``: options, lists, and checks before the run
- ``store_limit``: ``--store-limit``
- ``collection``: from claims to cells, and the plan; ``prefetching``: ``--engine`` and
  ``--shard``
- ``fixtures``: the fixtures of claims, and ``observation``, which makes a fixture from
  a recipe; ``learner_checks``: what a recipe may return; ``items``: what a test item
  carries
- ``judging``: from a verdict to pytest's outcome and a row; ``repeated_looks``:
  ``--until-decided``
- ``reporting``: progress, the report, and the matrix in the terminal
- ``xdist_workers``: workers, and what each may use
"""

from probes.pytest_plugin.fixtures import observation

__all__ = ["observation"]

pytest_plugins = [
    f"probes.pytest_plugin.{module}"
    for module in (
        "start",
        "collection",
        "prefetching",
        "fixtures",
        "judging",
        "repeated_looks",
        "reporting",
        "xdist_workers",
        "store_limit",
    )
]
