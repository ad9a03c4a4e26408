"""Faults injected into real runs, from one command: ``python -m tests.faults``.

``claims`` holds the claims that are judged, ``learners`` what they measure, ``site``
what makes the system fail inside every process. ``stage`` is one experiment:
a run that a fault strikes, and the run after it. ``acts`` are the faults; ``cluster``
is two local Ray nodes; ``scale`` measures sizes and speeds.
"""
