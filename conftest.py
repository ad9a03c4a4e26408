"""Loads the plugin and the fixtures; nothing else."""

pytest_plugins = [
    "probes.pytest_plugin",
    "fixtures.observations",
    "fixtures.activations",
    "fixtures.efficiency",
    "fixtures.explanations",
    "fixtures.relabelled",
    "fixtures.weights",
]
