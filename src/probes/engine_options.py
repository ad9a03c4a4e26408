"""The options that say where a plan is measured, and for how long at most."""

from __future__ import annotations

from typing import Any

ENGINE_OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "--engine",
        {
            "metavar": "NAME",
            "help": "measure the whole plan first, then judge it in this process: "
            "local or local:N (N processes of this machine; one that dies is "
            "replaced), ray or ray:ADDRESS (a Ray cluster; needs the extra ray); "
            "implies -n 0 (default: the tests measure what they need)",
        },
    ),
    (
        "--shard",
        {
            "metavar": "I/N",
            "help": "measure only part I of N of the plan into the store and judge "
            "nothing; when all parts are done, a run without --shard judges them "
            "(default: all of it)",
        },
    ),
    (
        "--time-limit",
        {
            "type": float,
            "metavar": "SECONDS",
            "help": "the longest that one observation may take; a longer one is an "
            "error and the rest goes on. Where a library hangs without coming back to "
            "Python, only a worker (-n, --engine) can be ended (default: no limit)",
        },
    ),
)
