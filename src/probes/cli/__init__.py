"""The command ``probes``: tools for stored observations and for results.

``main`` finds the sub-command. Each ``*_command`` is one: ``store`` for the stored
observations, ``models`` for models that packages carry, ``compare`` for two runs,
``report`` for a paper's figures, ``calibrate`` for error rates, ``catalogue`` for the
page of claims.
"""
