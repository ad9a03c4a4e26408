"""The command ``probes`` and its sub-commands."""
