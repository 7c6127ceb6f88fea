"""What an API has, as far as drift goes: endpoints, the fields of their answers, and what they can be asked for."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

FRAME = re.compile(r"^(data\.|results\.)*")
AROUND = frozenset(
    (
        "object",
        "type",
        "start_time",
        "end_time",
        "starting_at",
        "ending_at",
        "date",
        "has_more",
        "next_page",
        "first_id",
        "last_id",
        "data_refreshed_at",
        "organization_id",
        "requested_at",
    )
)
"""Fields that stand around rows."""


@dataclass(kw_only=True)
class Asked:
    """An endpoint that is read."""

    fields: set[str] = field(default_factory=set)
    """Of an item, with dots between objects and their fields."""
    group_by: set[str] = field(default_factory=set)
    parameters: set[str] = field(default_factory=set)

    def add(self, other: "Asked") -> None:
        """Take over what another declaration of the same endpoint has."""
        self.fields |= other.fields
        self.group_by |= other.group_by
        self.parameters |= other.parameters


Surface = Mapping[str, Asked]
"""Path -> endpoint. Parameters in a path are ``{}``."""


def normalized(path: str) -> str:
    """A path without its parameters' names."""
    return re.sub(r"\{\w+\}", "{}", path.partition("?")[0].strip("/"))


def differences(name: str, theirs: Surface, ours: Surface) -> Iterator[str]:
    """Each thing that one of the two has and the other lacks, as a line that ``reviewed.toml`` may name."""
    for path in sorted(theirs.keys() - ours.keys()):
        yield f"{name} {path}: endpoint is new"
    for path in sorted(ours.keys() - theirs.keys()):
        yield f"{name} {path}: endpoint is gone"
    for path in sorted(theirs.keys() & ours.keys()):
        yield from (f"{name} {path}: {line}" for line in _of_endpoint(theirs[path], ours[path]))


def _of_endpoint(theirs: Asked, ours: Asked) -> Iterator[str]:
    sent = {stripped for name in theirs.fields if (stripped := FRAME.sub("", name)) not in AROUND}
    yield from (f"field {name} is new" for name in sorted(sent) if not _is_kept(name, ours.fields))
    yield from (f"field {name} is gone" for name in sorted(ours.fields - AROUND) if not _is_sent(name, sent))
    yield from (f"group_by {value} is new" for value in sorted(theirs.group_by - ours.group_by))
    yield from (f"group_by {value} is gone" for value in sorted(ours.group_by - theirs.group_by))
    yield from (f"parameter {value} is new" for value in sorted(theirs.parameters - ours.parameters))


def _is_kept(name: str, ours: set[str]) -> bool:
    """Whether we keep a field, or the object that it is in."""
    return any(name == kept or name.startswith(f"{kept}.") for kept in ours)


def _is_sent(name: str, theirs: set[str]) -> bool:
    """Whether a field that we keep, or a part of it, is sent."""
    return any(sent == name or sent.startswith(f"{name}.") for sent in theirs)
