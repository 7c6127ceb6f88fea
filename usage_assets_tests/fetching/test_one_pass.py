"""A page that is read in one pass gives what the page parser makes of it: the same rows, counts and errors."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usage_assets.core.days import DAY, Window
from usage_assets.core.people import People
from usage_assets.core.schema import Column, columns
from usage_assets.fetching.client import read_page
from usage_assets.fetching.page_parser import PageParser
from usage_assets.fetching.scope import Scope
from usage_assets.providers.endpoint import Endpoint
from usage_assets.providers.records import FRAME, OURS, Json, page_of_lines, results
from usage_assets_tests.fetching.conftest import EVERY_ENDPOINT
from usage_assets_tests.fixtures import IS_NIGHT
from usage_assets_tests.providers.bodies import ALWAYS, BODIES, POLICIES, WINDOWS, every_policy, page_in
from usage_assets_tests.providers.recorded import answers_of, every_body

BUCKETS = {name: endpoint for name, (_, endpoint) in EVERY_ENDPOINT.items() if endpoint.records is results}
"""The endpoints whose answers are days with results."""
RECORDED = {
    body.name: body
    for body in every_body()
    if body.table.replace(".", "/") in EVERY_ENDPOINT and not body.asked[0].reads_files
}
SHARE = 1 if IS_NIGHT else 3
"""By day, fewer pages are made up."""
WEEK = Window(date(2026, 11, 9), date(2026, 11, 15))
some_people = st.sampled_from([*POLICIES.values()])
names = st.sampled_from(sorted(BUCKETS))


class OneByOne(PageParser):
    """Reads every page as the page parser does it."""

    builds_each_row = True


@dataclass
class Outcome:
    """What became of a page."""

    rows: Sequence[Json] = ()
    schema: pa.Schema | None = None
    parsed: object = None
    """What is left of the page, and the days and fields that were seen."""
    rounded: int = 0
    error: str = ""


def outcome(parser_type: type[PageParser], endpoint: Endpoint, window: Window, people: People, page: bytes) -> Outcome:
    """Read a page with a parser of that type."""
    scope = Scope(connection="fixture", ids={"workspace_id": "ws-fixture", "organization": "acme"}, people=people)
    parser = parser_type(scope, window, {}, endpoint.group_by)
    try:
        read = read_page(endpoint, parser, page)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the same
        found = Outcome(error=f"{type(error).__name__} {error}")
    else:
        rows = pa.concat_tables(parser.tables)
        found = Outcome(rows.to_pylist(), rows.schema, (read, len(parser.tables)))
    found.parsed = found.parsed, parser.days_seen, parser.unknown_fields, parser.grouping
    found.rounded = parser.rounded
    return found


def agree(endpoint: Endpoint, window: Window, people: People, page: bytes) -> Outcome:
    """Compare both ways, and return what became of the page."""
    ours, known = (outcome(each, endpoint, window, people, page) for each in (PageParser, OneByOne))
    assert ours == known
    return ours


# --- Recorded and official bodies -------------------------------------------------------------------------------------


@every_policy
def test_a_fixture_gives_what_the_page_parser_makes_of_it(people: People, subtests: pytest.Subtests) -> None:
    for name in sorted(BODIES):
        provider, endpoint = name.split("/")[:2]
        with subtests.test(name):
            agree(EVERY_ENDPOINT[f"{provider}/{endpoint}"][1], WINDOWS.get(provider, ALWAYS), people, page_in(name))


def test_a_recorded_body_gives_what_the_page_parser_makes_of_it(subtests: pytest.Subtests) -> None:
    for name, body in RECORDED.items():
        endpoint = body.asked[1]
        with subtests.test(name):
            for window, content in answers_of(body):
                agree(endpoint, window, People("names"), page_of_lines(content, window) if endpoint.links else content)


# --- Made-up pages ----------------------------------------------------------------------------------------------------


class Number(str):
    """A number of JSON, as it is written."""


DIGITS = st.from_regex(r"-?(0|[1-9][0-9]{0,16})(\.[0-9]{1,26})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)
ODD_NUMBERS = st.sampled_from(
    [
        "92947822275463134113657120090.789e-7",  # Arrow's cast of the text makes 513902166325.34… of it
        "40110647457567175262024529e-2353",
        "1e400",
        "1e-400",
        "0e400",
        "-0",
        "-0.0",
        "1.0",
        "1e3",
        "99999999999999.999999999999999999999999",
        "99999999999999.9999999999999999999999995",
        "100000000000000",
        "0.0000000000000000000000000015",
        "1e99999999999",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "9" * 40,
    ]
)
numbers = (DIGITS | ODD_NUMBERS).map(Number)
odd_texts = st.sampled_from(
    [
        "",
        " ",
        "null",
        "NaN",
        "-Infinity",
        "sNaN",
        "1.5",
        " 1.5 ",
        "1_0",
        "\u0661",
        "1e-3",
        "true",
        "ann@corp.example",
        "\x00",
        "😀",
    ]
)
anything: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | numbers
    | odd_texts
    | st.text(max_size=5)
    | st.builds(list)
    | st.builds(dict)
    | st.builds(lambda: {"email": "bo@corp.example", "n": Number("1.50")})
)
ids = st.sampled_from(["", "key_1", "key_2", "Ann@corp.example", "bo@corp.example", "gpt-5, input"])
VALUES: dict[type, st.SearchStrategy[Any]] = {
    str: ids,
    int: st.integers(0, 2**63 - 1),
    bool: st.booleans(),
    Decimal: DIGITS.filter(lambda text: abs(Decimal(text)) < 10**14).map(Number),
}


def sent(endpoint: Endpoint) -> dict[str, Column]:
    """The columns that the provider sends, as it spells them."""
    row = endpoint.row
    spelled = dict(zip(row.__struct_fields__, row.__struct_encode_fields__, strict=True))
    return {spelled[column.name]: column for column in columns(row) if column.name not in OURS}


@st.composite
def results_of(draw: st.DrawFn, endpoint: Endpoint) -> Json:
    """A result with some of its fields."""
    result: Json = {"object": "result"}
    for spelled, column in sent(endpoint).items():
        if column.nullable and draw(st.booleans()):
            continue
        values: st.SearchStrategy[Any] = VALUES[column.type]
        *way, last = spelled.split(".")
        place = result
        for step in way:
            place = place.setdefault(step, {})
        place[last] = draw(st.none() | values if column.nullable else values)
    return result


def bucket(endpoint: Endpoint, day: date, found: Sequence[Json]) -> Json:
    """A day, as the endpoint's item has it."""
    start, end = (datetime.combine(each, time(), UTC) for each in (day, day + DAY))
    names = dict(zip(endpoint.item.__struct_fields__, endpoint.item.__struct_encode_fields__, strict=True))
    is_unix = names["start"] == "start_time"
    values = [int(each.timestamp()) if is_unix else each.isoformat().replace("+00:00", "Z") for each in (start, end)]
    return {"object": "bucket", names["start"]: values[0], names["end"]: values[1], "results": [*found]}


@st.composite
def pages(draw: st.DrawFn, endpoint: Endpoint) -> Json:
    """A page as the provider sends it: each day once."""
    days = draw(st.lists(st.sampled_from(WEEK.days), max_size=3, unique=True))
    some = st.lists(results_of(endpoint), max_size=4)
    data = [bucket(endpoint, day, draw(some)) for day in days]
    return {
        "object": "page",
        "data": data,
        "has_more": draw(st.booleans()),
        "next_page": draw(st.none() | st.just("p2")),
    }


def objects_in(value: Any) -> Iterator[Json]:
    """Every object of a page, itself included."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects_in(inner)


@st.composite
def spoilt(draw: st.DrawFn, endpoint: Endpoint) -> bytes:
    """A page of which something may not be as declared."""
    page = draw(pages(endpoint))
    if page["data"] and draw(st.booleans()):
        page["data"].append(page["data"][0])
    new_names = st.sampled_from(
        [
            "new",
            "occurrence",
            "connection",
            "usage_date",
            "date",
            "amount",
            "amount.value",
            "user_email",
            *sorted(FRAME),
        ]
    )
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.sampled_from([*objects_in(page)]))
        is_known = bool(place) and draw(st.booleans())
        name = draw(st.sampled_from(sorted(place)) if is_known else new_names)
        match draw(st.sampled_from(["put", "remove", "put", "twice", "other time"])):
            case "put":
                place[name] = draw(anything)
            case "remove":
                place.pop(name, None)
            case "twice" if page.get("data") and isinstance(page["data"], list):
                page["data"].append(draw(st.sampled_from(page["data"])))
            case "other time" if isinstance(start := place.get("start_time"), int):
                place["start_time"] = start + draw(st.sampled_from([-86400, 3600, 86400 * 30, 10**12, 10**18]))
    content = written(page).encode()
    if draw(st.integers(0, 9)) == 0:  # a broken answer
        at = draw(st.integers(0, len(content) - 1))
        content = content[:at] + draw(st.binary(max_size=1)) + content[at + 1 :]
    return content


def written(value: Any) -> str:
    """Return JSON, with each number as it is written."""
    if isinstance(value, Number):
        return value
    if isinstance(value, dict):
        return f"{{{','.join(f'{written(str(name))}:{written(inner)}' for name, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(map(written, value))}]"
    return msgspec.json.encode(value).decode()


@settings(max_examples=300 // SHARE)
@given(name=names, people=some_people, data=st.data())
def test_any_page_gives_what_the_page_parser_makes_of_it(name: str, people: People, data: st.DataObject) -> None:
    agree(BUCKETS[name], WEEK, people, data.draw(spoilt(BUCKETS[name])))


@settings(max_examples=200 // SHARE)
@given(amount=numbers | odd_texts | numbers.map(str))
@pytest.mark.parametrize(("name", "path"), [("openai/costs", "amount.value"), ("anthropic/cost_report", "amount")])
def test_an_amount_is_stored_to_the_same_digit(name: str, path: str, amount: str) -> None:
    result: Json = {"currency": "USD", "amount": amount} if path == "amount" else {"amount": {"value": amount}}
    agree(
        BUCKETS[name],
        WEEK,
        People(),
        written({"data": [bucket(BUCKETS[name], WEEK.first, [result])], "has_more": False}).encode(),
    )


def test_a_refused_page_adds_nothing_and_the_pages_before_it_stay() -> None:
    endpoint = BUCKETS["openai/costs"]
    good = bucket(endpoint, WEEK.first, [{"amount": {"value": Number("1e-25")}}])
    bad = bucket(endpoint, WEEK.last, [{"amount": {"value": "free"}}])
    new = good | {"field": "new"}
    for parser in (each(Scope(connection="fixture"), WEEK, {}, ()) for each in (PageParser, OneByOne)):
        read_page(endpoint, parser, written({"data": [good], "has_more": False}).encode())
        with pytest.raises(Exception, match=re.escape("$.data[1].results[0].amount.value (2026-11-15): ")):
            read_page(endpoint, parser, written({"data": [new, bad], "has_more": False}).encode())
        assert (len(parser.tables), parser.rounded, parser.days_seen) == (1, 1, {WEEK.first})
        assert +parser.unknown_fields == {}
        read_page(endpoint, parser, written({"data": [new], "has_more": False}).encode())
        assert (len(parser.tables), parser.unknown_fields) == (2, {"bucket.field": 1})
