"""One run, from options to rows.

- ``options``: the options, their help and their defaults; ``ini_options``: the same in
  pytest's configuration file; ``parsed_options``: what their values become
- ``grid``: the two registries, and which cells a run has; ``listing`` and
  ``catalogue_page``: lists of claims, models and datasets
- ``run_setup`` and ``session``: the state of a run in one process, and its report
- ``plan`` and ``planned_power``: what ``--plan`` prints
- ``prefetch``: ``--engine`` and ``--shard``; ``icl_gate``: which cells are judged at
  all; ``interim_analysis``: ``--until-decided``
- ``self_tests``: the instrument tested on known truths, in every report
"""
