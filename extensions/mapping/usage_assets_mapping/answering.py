"""What a provider would answer to a resource for one day, out of the archive: no request is made.

An archived answer may be about many days, on many pages. A resource gets one page with one of them. What the policy
for people drops is gone, as it is from fetched rows, and so is who was forgotten.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from usage_assets.core import money
from usage_assets.core.days import spans
from usage_assets.fetching.archive.files import ArchiveError, File
from usage_assets.fetching.archive.replay import Replay
from usage_assets.fetching.bodies import seen_of
from usage_assets.fetching.page_parser import PageParser
from usage_assets.fetching.transport import PermanentError
from usage_assets.providers.records import ShapeError
from usage_assets_mapping.examples import Example, Field
from usage_assets_mapping.questions import Answer

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])
_exact = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True)
class Answered:
    """A day's answer to a resource."""

    body: str
    """A page of JSON."""
    stored_at: datetime
    """When the archive has stored what it is made of."""


@dataclass
class Answers:
    """The days that the archive answers, and why it does not answer others."""

    found: dict[date, Answered] = field(default_factory=dict)
    refused: dict[date, str] = field(default_factory=dict)


def answers_for(replay: Replay, answer: Answer, days: Sequence[date]) -> Answers:
    """Return what the newest archived answers say of days."""
    is_control = not answer.groups and not answer.selected and answer.endpoint.must_add_up is not None
    endpoint = answer.endpoint.ungrouped if is_control else answer.endpoint
    answers, chosen = Answers(), list[tuple[File, Sequence[date]]]()
    while left := [day for day in days if day not in answers.refused]:
        try:
            chosen = [*replay.newest(endpoint, left)]
            break
        except PermanentError as error:
            what = "no archived answer: fetch the day again (usage-assets backfill), then it is computed"
            answers.refused |= dict.fromkeys(error.days, what)
    for file, own in chosen:
        try:
            if file.asked.question.query == answer.query:
                _add(answers, replay, answer, file, own)
        except (ArchiveError, ShapeError, msgspec.DecodeError) as error:
            answers.refused |= dict.fromkeys(own, f"{file.path}: cannot be read: {error}")
    return answers


def _add(answers: Answers, replay: Replay, answer: Answer, file: File, days: Sequence[date]) -> None:
    """Add what a file says of some days. Raises ArchiveError, ShapeError and DecodeError."""
    endpoint, grouped_by = answer.endpoint, file.asked.grouped_by
    if lacking := [name for name in (*answer.groups, *answer.selected) if name not in grouped_by]:
        why = f"the provider did not group {spans(days)} by {', '.join(lacking)}"
        answers.refused |= dict.fromkeys(days, why)
        return
    people = replay.scope.people
    pages = (seen_of(endpoint, people, people.forgotten.in_json(page)) for page in file.pages())
    if endpoint.page and len(file.window.days) == 1 and answer.how == "archived" and len(file.asked.pages) == 1:
        answers.found |= {day: Answered(page.decode(), file.stored_at) for page in pages for day in days}
        return
    parser = PageParser(replay.scope, file.window, file.asked.question.query, grouped_by)
    frame: Mapping[str, msgspec.Raw] = {}
    items: dict[date, list[msgspec.Raw]] = {day: [] for day in days}
    for page in pages:
        fields = _fields.decode(page)
        if endpoint.items not in fields:
            raise ArchiveError(f"it does not list its days in {endpoint.items}")
        frame = frame or fields
        read = parser.new_page()
        for n, raw in enumerate(_items.decode(fields[endpoint.items])):
            day = read.begin(endpoint.row, endpoint.item, msgspec.json.decode(raw), f"$.{endpoint.items}[{n}]")
            if day in items:
                items[day].append(raw)
    for day, found in items.items():
        if endpoint.bucket_per_day and not found:
            answers.refused[day] = f"{file.path}: has no bucket for the day: fetch it again"
            continue
        parts = _joined(found) if endpoint.bucket_per_day else found
        own = parts if answer.how == "archived" else [*_added_up(Example(answer), parts)]
        body = {**frame, endpoint.items: own, **{name: end for name, end in ENDS.items() if name in frame}}
        answers.found[day] = Answered(_encoder.encode(body).decode(), file.stored_at)


SEE = "see "
"""Before the column that says a measure's unit. It tells no rows apart: where they have several, it is null."""
ENDS: Mapping[str, object] = {"has_more": False, "next_page": None}
"""What an answer of one page says of others."""


def _joined(parts: Sequence[msgspec.Raw]) -> Sequence[msgspec.Raw]:
    """Return a day's bucket alone: it may be split over pages."""
    buckets: list[dict[str, Any]] = [_exact.decode(part) for part in parts] if len(parts) > 1 else []
    if not buckets or any("results" not in bucket for bucket in buckets):
        return parts
    results = [row for bucket in buckets for row in bucket["results"]]
    return [msgspec.Raw(_encoder.encode({**buckets[0], "results": results}))]


def _added_up(example: Example, items: Sequence[msgspec.Raw]) -> Iterator[object]:
    """Yield the items of a day with their results added up to the groups of a question."""
    decoded = [_exact.decode(item) for item in items]
    if not decoded or "results" not in decoded[0]:
        yield from _sums(example, decoded)
        return
    for bucket in decoded:
        yield {**bucket, "results": [*_sums(example, bucket["results"])]}


def _sums(example: Example, rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the sum of the rows of each group, in the order in which the groups come.

    Amounts are added exactly, and stay texts or numbers, as they are sent. What is no measure stays where all rows have
    the same. A dimension that was not asked for is null, and so are those that come with it, and a unit if there are
    several.
    """
    fields, hidden = example.fields, example.hidden
    units = {name for name in map(_unit_of, fields.values()) if name and name in fields}
    kept = [name for name in example.answer.endpoint.row.grain if name in fields and name not in hidden | units]
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if all(_text(_at(row, fields[name].path)) in values for name, values in example.answer.selected.items()):
            key = json.dumps([_text(_at(row, fields[name].path)) for name in kept])
            groups.setdefault(key, []).append(row)
    for members in groups.values():
        whole = _common(members)
        unclear = hidden | {name for name in units if len({_at(row, fields[name].path) for row in members}) > 1}
        for name, each in fields.items():
            values = [_at(row, each.path) for row in members]
            if name in hidden or _unit_of(each) in unclear:
                _put(whole, each.path, None)
            elif each.column.unit is not None:
                _put(whole, each.path, _sum(values))
            elif name in kept:
                _put(whole, each.path, values[0])
        yield whole


def _unit_of(measure: Field) -> str | None:
    """Return the column that says a measure's unit, where one does. Amounts of several units are not added up."""
    unit = measure.column.unit or ""
    return unit.removeprefix(SEE) if unit.startswith(SEE) else None


def _common(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what all rows have in common, as an object of its own.

    An object that some rows lack is there, because it may have measures in it. What several rows share beside texts is
    null: a number may be a measure that we do not know, and is no sum.
    """
    found: dict[str, Any] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        values: list[Any] = [row.get(name) for row in rows]
        first, *others = values
        if all(isinstance(value, dict | None) for value in values) and any(value is not None for value in values):
            found[name] = _common([value or {} for value in values])
        elif others and not isinstance(first, str | bool):
            found[name] = None
        else:
            found[name] = first if all(value == first for value in others) else None
    return found


def _sum(values: Sequence[Any]) -> Any:
    """Return the exact sum of what is there, spelled as the first of it; None of nothing."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    total = money.total(Decimal(str(value)) for value in known)
    if isinstance(known[0], str):
        return f"{total:f}"
    return int(total) if all(isinstance(value, int) for value in known) else total


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _at(row: Any, path: Sequence[str]) -> Any:
    for name in path:
        row = row.get(name) if isinstance(row, dict) else None
    return row


def _put(row: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Put a value at a path, where the path is there."""
    *outer, last = path
    place: Any = row
    for name in outer:
        place = place.get(name) if isinstance(place, dict) else None
    if isinstance(place, dict) and (last in place or value is not None):
        place[last] = value
