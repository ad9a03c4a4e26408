"""Loads the plugin and the fixtures; nothing else."""

pytest_plugins = ["probes_fixtures"]
