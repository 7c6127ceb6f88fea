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

from usage_assets.core.days import spans
from usage_assets.features.mapping.examples import Example, is_currency
from usage_assets.features.mapping.questions import Answer
from usage_assets.fetching.archive.files import ArchiveError, File
from usage_assets.fetching.archive.replay import Replay
from usage_assets.fetching.bodies import seen_of
from usage_assets.fetching.page_parser import PageParser
from usage_assets.fetching.transport import PermanentError
from usage_assets.providers.records import ShapeError

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
        for n, raw in enumerate(_items.decode(fields[endpoint.items])):
            day = parser.begin(endpoint.item, msgspec.json.decode(raw), f"$.{endpoint.items}[{n}]")
            if day in items:
                items[day].append(raw)
    for day, found in items.items():
        if endpoint.bucket_per_day and not found:
            answers.refused[day] = f"{file.path}: has no bucket for the day: fetch it again"
            continue
        own = found if answer.how == "archived" else [*_added_up(Example(answer), found)]
        body = {**frame, endpoint.items: own, **{name: end for name, end in ENDS.items() if name in frame}}
        answers.found[day] = Answered(_encoder.encode(body).decode(), file.stored_at)


ENDS: Mapping[str, object] = {"has_more": False, "next_page": None}
"""What an answer of one page says of others."""


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
    the same. A dimension that was not asked for is null, and so are those that come with it.
    """
    endpoint, fields = example.answer.endpoint, example.fields
    asked = {*example.answer.groups}
    others = [name for name in endpoint.row.grain if name not in endpoint.group_by]
    hidden = {*endpoint.group_by} - asked
    if endpoint.details in hidden or not endpoint.details:
        hidden |= {name for name in others if name in fields and fields[name].column.nullable and not is_currency(name)}
    kept = [name for name in endpoint.row.grain if name in fields and name not in hidden]
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if all(_text(_at(row, fields[name].path)) in values for name, values in example.answer.selected.items()):
            key = json.dumps([_text(_at(row, fields[name].path)) for name in kept])
            groups.setdefault(key, []).append(row)
    for members in groups.values():
        whole = _common(members)
        for name, each in fields.items():
            values = [_at(row, each.path) for row in members]
            if name in hidden or _is_of(each.column.unit, hidden):
                _put(whole, each.path, None)
            elif each.column.unit is not None:
                _put(whole, each.path, _sum(values))
        yield whole


def _is_of(unit: str | None, hidden: set[str]) -> bool:
    """Whether a measure's unit is a column that is null: then amounts of several units would be added up."""
    return unit is not None and unit.removeprefix("see ") in hidden


def _common(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what all rows have in common, as an object of its own."""
    found: dict[str, Any] = {}
    for name, first in rows[0].items():
        values: list[Any] = [row.get(name) for row in rows]
        if all(isinstance(value, dict) for value in values):
            found[name] = _common(values)
        else:
            found[name] = first if all(value == first for value in values) else None
    return found


def _sum(values: Sequence[Any]) -> Any:
    """Return the exact sum of what is there, spelled as the first of it; None of nothing."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    total = sum(Decimal(str(value)) for value in known)
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
