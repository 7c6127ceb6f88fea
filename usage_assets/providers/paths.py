"""Paths with the ids of a connection in them, such as ``organizations/{organization}/usage``."""

from collections.abc import Collection, Sequence
from string import Formatter


def parameters_of(path: str) -> tuple[str, ...]:
    """Return the names of the ids that a path needs."""
    return tuple(name for _, name, *_ in Formatter().parse(path) if name)


def path_of(paths: Sequence[str | None], ids: Collection[str]) -> str:
    """Return the first path whose ids are there; the first one where none is."""
    known = [path for path in paths if path]
    return next((path for path in known if {*parameters_of(path)} <= {*ids}), known[0])
