"""Run the command ``probes`` as ``python -m probes``."""

import sys

from probes.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
