"""The library of language models, without its progress bars and advice."""

from __future__ import annotations

from typing import Any


def quiet_transformers() -> Any:  # much of it has no types
    """Import transformers and let it report errors only."""
    import transformers

    logging: Any = transformers.utils.logging
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    return transformers
