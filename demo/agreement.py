"""Whether everything that people read says the same: the report, the tables, Port, the digest and the alerts.

Each is read as a person reads it: the text of the page, a query, Port's entities, the words of a message. Amounts are
compared as they are printed, to the cent, and dates to the day.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any, NamedTuple

from usage_assets.assets.posted import ALERTS, DIGEST
from usage_assets.core.days import DAY, end_of_month
from usage_assets.features.port.catalog.client import PortClient
from usage_assets.models.insights import KEPT
from usage_assets.warehouse.database import Warehouse
from usage_assets_report.page import VALUED

ANSWER, REPORT, TABLES, STORED, PORT, DIGESTED, ALERTED = (
    "the first answer", "the report", "the tables", "the stored costs", "Port", "the digest", "an alert"
)  # fmt: skip
EVERYTHING = "everything"
MONEY = r"-?\$?-?[\d,]+\.\d\d+(?: (?!to |spent|expected)[A-Za-z]+)?"
AHEAD = rf"(?:, (?P<expected>{MONEY}) expected \((?P<low>{MONEY}) to (?P<high>{MONEY})\))?"
USED_UP = r"(?:, (?:likely to be )?used up on (?P<used_up>\d{4}-\d\d-\d\d))?"
MONTH = re.compile(rf"(?P<month>[A-Z][a-z]+) so far: (?P<spent>{MONEY}){AHEAD}")
BUDGET = re.compile(rf"budget (?P<name>[^;:]+): [^;,]*? of {MONEY}{USED_UP}{AHEAD}")
THRESHOLD = re.compile(
    r"budget (?P<name>.+), (?P<first>\d{4}-\d\d-\d\d) to (?P<last>\d{4}-\d\d-\d\d): (?P<share>\d+)% of "
    rf"{MONEY} was reached on (?P<day>\d{{4}}-\d\d-\d\d): (?P<spent>{MONEY}) spent{AHEAD}{USED_UP}"
)
STORED_MONTH = """
select sum(amount_usd) as spent
from costs.daily_costs
where cost_basis = 'billed' and usage_date between date_trunc('month', $newest::date) and $newest
"""
BUDGETS = "from costs.budget_status order by all"
MONTHS = "from costs.forecast_totals order by all"
ANOMALIES = "from costs.anomalies where measure = 'usd' and is_open order by all"


class Said(NamedTuple):
    """What one place says of one figure, as text: an amount to the cent, a day, or nothing."""

    place: str
    subject: str
    figure: str
    value: str


Saying = Iterator[Said]
MESSAGES = """query ($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events {
  ... on AssetCheckEvaluationEvent {
    evaluation { checkName metadataEntries { label ... on TextMetadataEntry { text } } }
  }
  ... on ObservationEvent { metadataEntries { label ... on TextMetadataEntry { text } } }
} } } }"""
"""What Dagster is asked for the messages of a run: what the webhook would post."""


def differences(said: Iterable[Said]) -> list[str]:
    """Return a line for each figure that two places do not say alike."""
    figures: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    wrong = []
    for each in said:
        before = figures[each.subject, each.figure].setdefault(each.place, each.value)
        if before != each.value:
            wrong.append(f"{each.subject}, {each.figure}: {each.place} says {before}, and {each.value}")
    for (subject, figure), values in figures.items():
        if len({*values.values()}) > 1:
            said_by = "; ".join(f"{place}: {value or 'nothing'}" for place, value in values.items())
            wrong.append(f"{subject}, {figure}: {said_by}")
    return wrong


def everything_said(
    page: str, warehouse: Warehouse, port: PortClient, messages: Mapping[str, Sequence[str]], newest: date
) -> list[Said]:
    """Return what each place says. ``messages`` are a run's texts, by what they are: digest, budgets, anomalies."""
    tables = {name: warehouse.read(sql).to_pylist() for name, sql in (("budgets", BUDGETS), ("months", MONTHS))}
    odd = warehouse.read(ANOMALIES).to_pylist()
    [stored] = warehouse.read(STORED_MONTH, {"newest": newest}).to_pylist()
    return [
        Said(STORED, EVERYTHING, "so far", cents(stored["spent"])),
        *_in_report(Page.of(page), newest),
        *_in_tables(tables["budgets"], tables["months"], odd, newest),
        *_in_port(port, [row for row in tables["budgets"] if row["last_day"] > newest + DAY - KEPT], odd),
        *_in_digest(messages.get(DIGEST, ()), tables["budgets"], newest),
        *_in_alerts(messages.get("budgets", ()), messages.get("anomalies", ()), odd),
    ]


def messages_of(events: Iterable[Mapping[str, Any]]) -> Mapping[str, Sequence[str]]:
    """Return the alerts of each check, and the digest, from the events of a run as Dagster's API gives them."""
    found: dict[str, Sequence[str]] = {}
    for event in events:
        evaluation = event.get("evaluation") or {}
        entries = evaluation.get("metadataEntries") or event.get("metadataEntries") or ()
        texts = {entry["label"]: entry.get("text", "") for entry in entries}
        if ALERTS in texts:
            found[evaluation["checkName"]] = [text for text in json.loads(texts[ALERTS]).values() if text]
        if DIGEST in texts:
            found[DIGEST] = texts[DIGEST].splitlines()
    return found


def cents(value: object) -> str:
    """Return an amount as people read it, without its unit: a table's value, or text."""
    if value is None or value in ("", "-"):
        return ""
    text = re.sub(r"[^\d.-]", "", value) if isinstance(value, str) else value
    return f"{Decimal(str(text)):.2f}"


def _day(value: object) -> str:
    return "" if value in (None, "", "-") else str(value)[:10]


# --- The report -------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """The text of the report: its answers, its cards, and the tables of its figures."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, list[str]] = defaultdict(list)
        """Identifier of an answer on the first screen -> its lines, with all digits that a tap shows."""
        self.cards: list[list[str]] = []
        self.tables: dict[str, list[list[str]]] = defaultdict(list)
        """Figure -> rows; the first one has the headings."""
        self._answer = self._figure = ""
        self._text: list[str] | None = None
        self._exact: str | None = None

    @classmethod
    def of(cls, html: str) -> "Page":
        """Read a page, as it is before another range is chosen."""
        page = cls()
        page.feed(html.partition("<template")[0])
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        stated = {name: value or "" for name, value in attrs}
        classes = stated.get("class", "").split()
        if tag in ("article", "section"):
            self._answer, self._figure = "", stated.get("id", "") if tag == "article" else ""
        elif "answer" in classes:
            self._answer = stated["id"]
        elif "card" in classes:
            self.cards.append([])
        elif tag == "tr" and self._figure:
            self.tables[self._figure].append([])
        if tag in READ:
            self._text = []
        self._exact = stated["data-exact"] if "amount" in classes else None

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data if self._exact is None else self._exact)

    def handle_endtag(self, tag: str) -> None:
        self._exact = None
        if tag not in READ or self._text is None:
            return
        text = "".join(self._text).strip()
        self._text = None
        if tag in ("th", "td"):
            self.tables[self._figure][-1].append(text)
        elif self._answer:
            self.answers[self._answer].append(text)
        elif self._figure == "headline" and self.cards:
            self.cards[-1].append(text)

    def rows(self, figure: str) -> Iterator[Mapping[str, str]]:
        """Yield the rows of a figure by their headings."""
        headings, *rows = self.tables.get(figure) or [[]]
        for row in rows:
            yield dict(zip(headings, row, strict=True))


READ = ("th", "td", "h4", "p")
HOW_MUCH = "a1"
EXACT = r"-?\d+(?:\.\d+)?"
FORECAST = re.compile(
    rf"^Forecast: (?P<expected>{EXACT})(?: \(80% range (?P<low>{EXACT}) to (?P<high>{EXACT})\))?\.$", re.M
)


def _in_report(page: Page, newest: date) -> Saying:
    if HOW_MUCH in page.answers:
        spent, *lines = page.answers[HOW_MUCH]
        yield Said(ANSWER, EVERYTHING, "so far", cents(spent))
        ahead = FORECAST.search("\n".join(lines))
        for name in ("expected", "low", "high"):
            yield Said(ANSWER, EVERYTHING, name, cents(ahead and (ahead[name] or ahead["expected"])))
    for label, amount, *_ in page.cards:
        if label == VALUED:
            yield Said(REPORT, EVERYTHING, "so far", cents(amount))
    for row in page.rows("forecast"):
        if row["Month"] == f"{newest:%B %Y}":
            yield from _estimate("its forecast", row["Scope"], row, "USD so far", "USD ")
    for row in page.rows("budgets"):
        subject = f"budget {row['Budget']} from {row['First day']}"
        yield from _estimate(REPORT, subject, row, "Spent", "")
        yield from _dates(REPORT, subject, row["Used up on"], row["Thresholds reached"], newest)
    for row in page.rows("anomalies"):
        if row["Measure"] == "usd":
            subject = f"{row['What'].removeprefix('guardrail ')} of {row['Scope']} from {row['First day']}"
            yield Said(REPORT, subject, "last day", row["Last day"])
            yield Said(REPORT, subject, "a day", cents(row["Actual"]))


def _estimate(place: str, subject: str, row: Mapping[str, str], spent: str, unit: str) -> Saying:
    yield Said(place, subject, "so far", cents(row[spent]))
    for name in ("expected", "low", "high"):
        heading = f"{unit}{name}" if unit else name.capitalize()
        yield Said(place, subject, name, cents(row[heading]))


def _dates(place: str, subject: str, used_up: object, thresholds: str, newest: date) -> Saying:
    """The day on which a budget was used up, if it is over, is that on which all of it was reached."""
    reached = dict(each.split(" on ") for each in thresholds.split(", ") if " on " in each)
    yield Said(place, subject, "used up on", _day(used_up))
    if _day(used_up) and _day(used_up) <= str(newest):
        yield Said(f"{place}, used up", subject, "100% reached on", _day(used_up))
        yield Said(f"{place}, thresholds", subject, "100% reached on", reached.get("1", ""))
    for share, day in reached.items():
        yield Said(place, subject, f"{Decimal(share):.0%} reached on", day)


# --- Tables and Port --------------------------------------------------------------------------------------------------


def _in_tables(
    budgets: Iterable[Mapping[str, Any]],
    months: Iterable[Mapping[str, Any]],
    odd: Iterable[Mapping[str, Any]],
    newest: date,
) -> Saying:
    first, last = newest.replace(day=1), end_of_month(newest)
    for row in (each for each in months if each["month"] == first):
        scope = EVERYTHING if row["kind"] == "all" else f"{row['kind']} {row['name']}"
        yield Said(TABLES, scope, "so far", cents(row["settled"] + row["provisional"]))
        for name in ("expected", "low", "high"):
            yield Said(TABLES, scope, name, cents(row[name]))
    for row in budgets:
        spent = cents(row["settled"] + row["provisional"]) if row["has_costs"] is not False else ""
        subjects = [f"budget {row['budget']} from {row['first_day']}"]
        if (row["kind"], row["unit"], row["first_day"], row["last_day"]) == ("all", "USD", first, last):
            subjects.append(EVERYTHING)
        for subject in subjects:
            place = TABLES if subject != EVERYTHING else f"its budget {row['budget']}"
            yield Said(place, subject, "so far", spent)
            for name in ("expected", "low", "high"):
                yield Said(place, subject, name, cents(row[name]))
        yield from _dates(TABLES, subjects[0], row["exhausted_on"], row["thresholds"], newest)
    for row in odd:
        yield Said(TABLES, _subject(row), "last day", str(row["last_day"]))
        yield Said(TABLES, _subject(row), "a day", cents(row["actual"]))


def _subject(row: Mapping[str, Any]) -> str:
    scope = EVERYTHING if row["kind"] == "all" else f"{row['kind']} {row['name']}"
    return f"{row['what']} of {scope} from {row['first_day']}"


def _in_port(port: PortClient, budgets: Iterable[Mapping[str, Any]], odd: Iterable[Mapping[str, Any]]) -> Saying:
    """What Port has, and nothing for what it lacks of what it keeps."""
    known = {f"budget {row['budget']} from {row['first_day']}" for row in budgets}
    for entity in port.search("ai_budget"):
        of_it = entity["properties"]
        subject = f"budget {of_it['budget']} from {_day(of_it['first_day'])}"
        known.discard(subject)
        yield Said(PORT, subject, "so far", cents(of_it.get("spent")))
        for name, property_ in (("expected", "expected"), ("low", "expected_low"), ("high", "expected_high")):
            yield Said(PORT, subject, name, cents(of_it.get(property_)))
        yield Said(PORT, subject, "used up on", _day(of_it.get("exhausted_on")))
    incidents = {_subject(row) for row in odd}
    for entity in port.search("ai_anomaly"):
        of_it = entity["properties"]
        subject = f"{of_it['what']} of {of_it['scope']} from {_day(of_it['first_day'])}"
        if of_it["measure"] == "usd" and of_it["state"] == "open":
            incidents.discard(subject)
            yield Said(PORT, subject, "last day", _day(of_it["last_day"]))
            yield Said(PORT, subject, "a day", cents(of_it["actual"]))
    for subject in known:
        yield Said(PORT, subject, "so far", "")
    for subject in incidents:
        yield Said(PORT, subject, "last day", "")


# --- Messages ---------------------------------------------------------------------------------------------------------


def _in_digest(lines: Iterable[str], budgets: Sequence[Mapping[str, Any]], newest: date) -> Saying:
    text = "\n".join(lines)
    if not text:
        return
    month = MONTH.search(text)
    yield Said(DIGESTED, EVERYTHING, "so far", cents(month and month["spent"]))
    for name in ("expected", "low", "high") if month else ():
        yield Said(DIGESTED, EVERYTHING, name, cents(month and month[name]))
    for found in BUDGET.finditer(text):
        current = [row for row in budgets if row["budget"] == found["name"] and row["last_day"] > newest - DAY]
        for row in current:
            subject = f"budget {row['budget']} from {row['first_day']}"
            if found["used_up"]:
                yield Said(DIGESTED, subject, "used up on", found["used_up"])
            for name in ("expected", "low", "high") if found["expected"] else ():
                yield Said(DIGESTED, subject, name, cents(found[name]))


def _in_alerts(budgets: Iterable[str], odd_days: Sequence[str], odd: Iterable[Mapping[str, Any]]) -> Saying:
    for text in budgets:
        found = THRESHOLD.search(text)
        if found is None:
            yield Said(ALERTED, text, "an amount and days", "")
            yield Said(TABLES, text, "an amount and days", "some")
            continue
        subject = f"budget {found['name']} from {found['first']}"
        yield Said(ALERTED, subject, "so far", cents(found["spent"]))
        yield Said(ALERTED, subject, f"{int(found['share'])}% reached on", found["day"])
        for name in ("expected", "low", "high"):
            yield Said(ALERTED, subject, name, cents(found[name]))
        yield Said(ALERTED, subject, "used up on", found["used_up"] or "")
    for row in odd:
        about = [text for text in odd_days if str(row["first_day"]) in text and row["name"] in text]
        a_day = f"${row['actual']:,.2f}".replace("$-", "-$")
        if about and not any(a_day in text for text in about):
            yield Said(ALERTED, _subject(row), "a day", about[0])
