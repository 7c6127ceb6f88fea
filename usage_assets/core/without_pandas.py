"""Hides pandas from a process that needs none of it."""

import sys
from contextlib import suppress

import pyarrow as pa


def hide_pandas() -> None:
    """Hide pandas from this process, if it is not loaded yet.

    DuckDB and Arrow import it, in 0.27 CPU s, to see whether a parameter or a list is one of its objects.
    """
    if "pandas" not in sys.modules:
        sys.modules["pandas"] = None  # type: ignore[assignment]
        with suppress(AttributeError, ImportError):  # Arrow looks for it once, and does not expect this
            pa.array(())


def show_pandas() -> None:
    """Let it be found again."""
    if sys.modules.get("pandas", sys) is None:
        del sys.modules["pandas"]
