"""The answers to the ten questions of the report: a few sentences each, from the rows of its figures.

Every amount keeps all its digits; how it is rounded is decided here, once for the page and the terminal.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from usage_assets.core.days import DAY, counted
from usage_assets.core.money import total, with_unit
from usage_assets.models.insights import REFRESH, incidents_in_words
from usage_assets_report.dimensions import SAME_NAME
from usage_assets_report.figures import CERTAINTY, Report
from usage_assets_report.names import CHARGES
from usage_assets_report.period import Period

MOST = 3
"""Parts of a difference, budgets and incidents on the first screen."""
RESULTS = ("merged pull requests", "pull requests", "active people", "requests")
"""Unit costs that people ask for first."""
PARTS: Mapping[str, tuple[str, str]] = {
    "volume": ("more use", "less use"),
    "mix": ("a shift to more expensive models", "a shift to cheaper models"),
    "price": ("higher prices", "lower prices"),
    "new": ("new items", "new items"),
    "gone": ("items that are gone", "items that are gone"),
    "seats": ("more seats", "fewer seats"),
    "credits_and_taxes": ("taxes and fewer credits", "credits and fewer taxes"),
    "exchange_rates": ("exchange rates", "exchange rates"),
    "not_split": ("charges without a quantity", "charges without a quantity"),
}
"""Part of a difference on compared days -> what it is called if it adds to the bill, and if it takes from it."""

STATES = ("open", "lasts", "closed")
"""Of incidents: those first that somebody may act on."""
COMPARED = "compared"
COUNTED = ("tokens", "requests")
BY_ITSELF = "Dagster fetches what is due, and unsettled days again, by itself. Without it: usage-assets backfill --due."
OWNED = (
    "Unowned: no [[owner]] gives its project, key or person to a team. No person: a key, a service account or a bill "
    "that names nobody. Unattributed: no usage report says whose it was; its project may still have an owner."
)
"""What three words mean that stand beside each other."""
MILLION = 1_000_000
MICRO = Decimal("0.000001")


class Amount(NamedTuple):
    """An amount in a sentence: rounded to what matters, with every digit one tap away."""

    value: Decimal
    unit: str = "USD"
    is_signed: bool = False

    @property
    def text(self) -> str:
        """The rounded amount: no cents from $100 on."""
        size = abs(self.value)
        sign = "-" if self.value < 0 else "+" if self.is_signed and size else ""
        if size >= MILLION and self.unit in COUNTED:
            return f"{sign}{size / MILLION:,.1f} million {self.unit}"
        places = 0 if size >= 100 or self.unit in COUNTED else 6 if 0 < size < Decimal("0.01") else 2
        number = f"{size:,.{places}f}"
        return f"{sign}${number}" if self.unit == "USD" else with_unit(f"{sign}{number}", self.unit)


Words = Sequence[str | Amount]
"""A sentence."""


@dataclass(frozen=True)
class Bar:
    """A budget: how much is spent, and how much is expected."""

    name: str
    words: Words
    spent: float
    """Percent of the bar."""
    limit: float
    """Where the budget is, in percent of the bar."""
    expected: float | None
    """Where the forecast is."""
    is_over: bool


class Fact(NamedTuple):
    """One number of the first screen with its name, and the figure that it is explained by."""

    name: str
    words: Words
    figure: str


@dataclass(frozen=True)
class Answer:
    """The answer to a question."""

    question: str
    lines: Sequence[Words]
    figures: Sequence[str]
    """The figures of its section."""
    bars: Sequence[Bar] = ()
    needs_attention: bool = False

    @property
    def headline(self) -> Words:
        """The first line."""
        return self.lines[0]


def text_of(words: Words) -> str:
    """Return a sentence as text."""
    return "".join(word.text if isinstance(word, Amount) else word for word in words)


def answers(report: Report) -> Sequence[Answer]:
    """Return the answers, in the order of the questions. The first four and the last one are the first screen."""
    own = [name for name in report.figures if name in report.activity]
    return [
        _how_much(report),
        _why(report),
        _budgets(report),
        _incidents(report),
        Answer(
            "Who spent it?",
            [_largest(report, "by_team", "team") or ["Unknown: no team owns any of it."], [OWNED]],
            ("by_team", "unowned", "by_cost_center", "cost_centers", "by_person", "by_api_key", "by_project", "tags"),
        ),
        Answer(
            "Which models?",
            [_largest(report, "by_model", "model") or ["Unknown: no model is named."]],
            ("by_model", "by_usage_type", "tokens"),
        ),
        Answer("Seats or usage?", [_seats(report)], ("kinds", "seats", "seat_break_even", "amortized")),
        Answer("What does a result cost?", [_unit_cost(report)], ("unit_costs", *own)),
        Answer("What could we save?", [_saving(report)], ("savings", "what_if", "caching", "idle_seats")),
        _certainty(report),
    ]


def _rows(report: Report, name: str) -> Sequence[Mapping[str, Any]]:
    return report.figures[name].rows.to_pylist() if name in report.figures else ()


def billed(report: Report) -> Mapping[str, Any]:
    """Return the row of what is billed, valued in USD."""
    for row in _rows(report, "headline"):
        if (row["cost_basis"], row["unit"]) == ("billed", "USD"):
            return row
    return {"amount": None, "not_compared": None, "same_days_before": None}


def _how_much(report: Report) -> Answer:
    figures = ("headline", "by_day", "trend")
    question = f"How much in {report.period.first:%B}?" if report.period.is_month else "How much?"
    row = billed(report)
    if row["amount"] is None:
        return Answer(question, [["Nothing that has a value in USD is stored."]], figures)
    wrong = [*_contradicted(report)]
    lines: list[Words] = [[Amount(row["amount"])], *wrong, _against(report, row)]
    month = report.period.last.replace(day=1)
    forecast = [
        _forecast(
            each, "Forecast" if report.period.is_month and each["month"] == month else f"Forecast of {each['month']:%B}"
        )
        for each in reversed(_rows(report, "forecast"))
        if each["scope"] == "everything" and each["month"] in (month, report.period.last + DAY)
    ]
    lines += [*forecast, *(_behind(report) if forecast else ())]
    if report.rates:
        lines.append([f"USD: {report.rates}."])
    return Answer(question, lines, figures, needs_attention=bool(wrong))


def facts(report: Report) -> Iterator[Fact]:
    """Yield what the first screen says beside its answers: dollars a day, cached input, and the share with an owner."""
    whole = billed(report)["amount"]
    if whole is not None and report.days > 0:
        yield Fact("Run rate", [Amount((whole / report.days).quantize(MICRO)), " a day"], "by_day")
    cached, read = (
        sum(row[f"{name}_tokens"] for row in _rows(report, "caching")) for name in ("cached_input", "input")
    )
    if read:
        saved = total(row["usd_saved"] for row in _rows(report, "caching") if row["usd_saved"] is not None)
        yield Fact("Cached input", [f"{cached / read:.0%}, saved ", Amount(saved)], "caching")
    unowned = total(row["usd_without_team"] or Decimal(0) for row in _rows(report, "unattributed"))
    if owned := share_of((whole or Decimal(0)) - unowned, whole):
        yield Fact("Has an owner", [f"{owned}, ", Amount(unowned), " unowned"], "unowned")


def without_owner(report: Report) -> Sequence[tuple[str, Amount, str]]:
    """Return the largest sources without an owner: name, what they were billed, and the setting that gives them one."""
    return [(row["source"], Amount(row["usd"]), row["setting"]) for row in _rows(report, "unowned")[:MOST]]


def by_provider(report: Report) -> Sequence[tuple[str, Decimal]]:
    """Return each provider with what it billed, the largest first."""
    rows = _rows(report, "kinds")
    sums = {
        name: total(row["usd"] for row in rows if row["provider"] == name) for name in {row["provider"] for row in rows}
    }
    return sorted(sums.items(), key=lambda each: (-each[1], each[0]))


def _contradicted(report: Report) -> Iterator[Words]:
    """Yield a line beside the amount for what says that it is wrong."""
    found: dict[str, list[str]] = {}
    for row in _rows(report, "doubts"):
        found.setdefault(row["contradicted_by"], []).append(f"{row['connection']} on {counted(row['days'])}")
    for name, places in found.items():
        yield [f"May be wrong, {name} fails: {', '.join(places)}."]


def _forecast(row: Mapping[str, Any], called: str) -> Words:
    if row["usd_expected"] is None:
        return [f"{called}: unknown ({row['why_unknown']})."]
    low, high = Amount(row["usd_low"]), Amount(row["usd_high"])
    within: Words = [" (80% range ", low, " to ", high, ")"] if low < high else []
    return [f"{called}: ", Amount(row["usd_expected"]), *within, "."]


def _behind(report: Report) -> Sequence[Words]:
    """Return a line beside computed figures that are older than what is stored; none if they are not."""
    return [[f"Computed before the last change of what is stored: {REFRESH}"]] if report.behind else []


def _against(report: Report, row: Mapping[str, Any]) -> Words:
    days, (now, before) = _same_days(report.period), compared(row)
    if not _is_any_compared(report):
        return [f"Not compared with {days}: no connection is known on days of both."]
    where = ", on the days that are known of both" if [*_not_compared(report)] else ""
    share = share_of_change(now, before)
    if not share:
        return [Amount(before), f" on {days}{where}."]
    return [Amount(now - before, is_signed=True), f" ({share}) against {days}{where}."]


def compared(row: Mapping[str, Any]) -> tuple[Decimal, Decimal]:
    """Return what a row of the headline was on the days that are compared: now and before."""
    now, left_out, before = (row[name] or Decimal(0) for name in ("amount", "not_compared", "same_days_before"))
    return total([now, -left_out]), before


def _is_any_compared(report: Report) -> bool:
    return any(row["compared"] == COMPARED for row in _rows(report, "compared"))


def _not_compared(report: Report) -> Iterator[Words]:
    """Yield a sentence for each connection of which days are not compared, the largest amounts first."""
    for row in _rows(report, "compared"):
        if (why := row["compared"]) == COMPARED:
            continue
        when = "" if why.endswith("before") else "_before"
        days = row[f"days{when}"]
        have = "" if why.startswith("not known") else " has" if days == 1 else " have"
        words = f"{when.replace('_', ' ')} not compared, {counted(days)}{have} {why}."
        yield [f"{row['connection']}: ", Amount(row[f"usd{when}"]), words]


def share_of(part: Decimal, whole: Decimal | None) -> str:
    """Return a part in percent. Empty without a whole, or if credits make a part negative, or larger than the whole."""
    return f"{part / whole:.0%}" if whole and 0 <= part <= whole else ""


def share_of_change(now: Decimal, before: Decimal) -> str:
    """Return a change as a share of the amount before. Empty after nothing, or refunds: its sign would be wrong."""
    return f"{(now - before) / before:+.0%}" if before > 0 else ""


def _same_days(period: Period) -> str:
    """Return the days that a period is compared with, in words."""
    if period.before_same == period.before_last and period.is_month:
        return f"{period.before_first:%B}"
    return in_days(period.before_first, period.before_same)


def in_days(first: date, last: date) -> str:
    """Return a range of days in words."""
    if first == last:
        return f"{first.day} {first:%b}"
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day} to {last.day} {last:%b}"
    return f"{first.day} {first:%b} to {last.day} {last:%b}"


def _why(report: Report) -> Answer:
    question, figures = "What changed, and why?", ("what_changed", "compared", "movers")
    rows = _rows(report, "what_changed")
    left_out = [*_not_compared(report)]
    if not _is_any_compared(report) or rows[0]["usd_change"] is None:
        return Answer(question, [["Unknown: no connection is known on days of both."], *left_out[:MOST]], figures)
    parts = sorted(PARTS, key=lambda part: -abs(rows[0][f"usd_{part}"]))
    lines: list[Words] = [[Amount(rows[0]["usd_change"], is_signed=True), f" against {_same_days(report.period)}"]]
    lines += [
        [Amount(value, is_signed=True), f" {PARTS[part][value < 0]}"]
        for part in parts[:MOST]
        if (value := rows[0][f"usd_{part}"])
    ]
    if rest := total(rows[0][f"usd_{part}"] for part in parts[MOST:]):
        lines.append([Amount(rest, is_signed=True), " all else"])
    lines += left_out[:MOST]
    moved = [row for cut in ("provider", "team", "model") for row in rows if row["by"] == cut and row["usd_change"]]
    largest = {row["by"]: row for row in reversed(moved)}  # the rows of a cut begin with the largest change
    words: list[str | Amount] = []
    for cut in ("provider", "team", "model"):
        if cut in largest:
            name = largest[cut]["name"]
            words += [
                ", " if words else "Largest changes: ",
                f"{name} " if cut == "provider" else f"{cut} {name} ",
                Amount(largest[cut]["usd_change"], is_signed=True),
            ]
    return Answer(question, [*lines, *([[*words, "."]] if words else [])], figures)


def _current_budgets(report: Report) -> Sequence[Mapping[str, Any]]:
    """Return the budgets whose period holds the last day, those first that will be exceeded by most."""

    def ratio(row: Mapping[str, Any]) -> Decimal:
        return max(row["expected"] or 0, row["spent"] or 0) / row["amount"] if row["amount"] else Decimal(0)

    current = [row for row in _rows(report, "budgets") if row["first_day"] <= report.period.last <= row["last_day"]]
    return sorted(current, key=lambda row: (-ratio(row), row["budget"]))


def _budgets(report: Report) -> Answer:
    question, figures = "Will we exceed a budget?", ("budgets", "forecast", "forecast_days")
    rows = _current_budgets(report)
    if not rows:
        if report.has_budgets and report.behind:
            return Answer(question, [[f"Unknown: budgets are not computed yet: {REFRESH}"]], figures)
        return Answer(question, [["No budget is set. Add a [[budget]] to the connections file."]], figures)
    over = [row for row in rows if row["spent"] is not None and row["spent"] >= row["amount"]]
    likely = [
        row for row in rows if row not in over and row["expected"] is not None and row["expected"] >= row["amount"]
    ]
    said: list[str] = []
    if over:
        said.append(f"{_count(over, 'budget')} exceeded")
    if likely:
        said.append(f"{len(likely)} likely to be" if over else f"{_count(likely, 'budget')} likely to be exceeded")
    unknown = [row for row in rows if row not in over and row["expected"] is None]
    if unknown:
        said.append(f"{_count(unknown, 'budget')} unknown")
    words = f"{', '.join(said)}." if said else f"No. {_count(rows, 'budget')} in range."
    left = [[f"{_count(rows[MOST:], 'more budget')} below."]] if rows[MOST:] else []
    return Answer(
        question, [[words], *left, *_behind(report)], figures, [_bar(row) for row in rows[:MOST]], bool(over or likely)
    )


def _count(rows: Sequence[object], what: str) -> str:
    return f"{len(rows)} {what}{'s' if len(rows) != 1 else ''}"


def _bar(row: Mapping[str, Any]) -> Bar:
    unit = row["unit"]
    words: list[str | Amount] = []
    if row["spent"] is None:
        words = [f"{row['scope']}"]
    else:
        words = [Amount(row["spent"], unit), " of ", Amount(row["amount"], unit)]
        if row["expected"] is not None:
            words += [", forecast ", Amount(row["expected"], unit)]
        elif row["why_unknown"]:
            words += [f", forecast unknown ({row['why_unknown']})"]
        if row["used_up_on"]:
            is_past = row["spent"] >= row["amount"]
            words += [
                f", {'exceeded' if is_past else 'likely exceeded'} on {in_days(row['used_up_on'], row['used_up_on'])}"
            ]
    whole = max(row["amount"], row["spent"] or 0, row["expected"] or 0) or Decimal(1)
    percent = {name: float((row[name] or 0) / whole * 100) for name in ("spent", "amount", "expected")}
    is_over = max(row["spent"] or 0, row["expected"] or 0) >= row["amount"]
    return Bar(
        f"{row['budget']}, {in_days(row['first_day'], row['last_day'])}",
        words,
        percent["spent"],
        percent["amount"],
        None if row["expected"] is None else percent["expected"],
        is_over,
    )


def _incidents(report: Report) -> Answer:
    question, figures = "What went wrong?", ("anomalies", "notes")
    first, last = report.period.first, report.period.last
    rows = [row for row in _rows(report, "anomalies") if row["first_day"] <= last and row["last_day"] >= first]
    if not rows:
        if "anomalies" not in report.figures:
            return Answer(question, [["Unknown: anomalies are not computed yet."]], figures)
        return Answer(question, [["Nothing that was found."], *_behind(report)], figures)
    states = [row["state"].partition(",")[0] for row in rows]
    ranked = sorted(
        zip(rows, states, strict=True),
        key=lambda each: (STATES.index(each[1]), is_guardrail(each[0]), each[0]["measure"] != "usd", -_size(each[0])),
    )
    said = [incidents_in_words([*map(is_guardrail, rows)]), f"{states.count('open')} still open"]
    if lasting := states.count("lasts"):
        said.append(f"{lasting} {'lasts' if lasting == 1 else 'last'}")
    notes = _rows(report, "notes")
    lines: list[Words] = [[f"{', '.join(said)}."], *(_incident(*each, notes) for each in ranked[:MOST])]
    return Answer(question, [*lines, *_behind(report)], figures, needs_attention="open" in states)


def is_guardrail(row: Mapping[str, Any]) -> bool:
    """Return whether a row of anomalies is a day on which a guardrail was crossed, and no incident."""
    return row["low"] is None and row["high"] is None


def _size(row: Mapping[str, Any]) -> Decimal:
    actual, expected = (row[name] or Decimal(0) for name in ("actual", "expected"))
    size: Decimal = abs(actual - expected)
    return size


def _incident(row: Mapping[str, Any], state: str, notes: Sequence[Mapping[str, Any]]) -> Words:
    unit = "USD" if row["measure"] == "usd" else row["measure"]
    days = f"{in_days(row['first_day'], row['last_day'])}: "
    words: list[str | Amount] = [days, f"{row['what']}, {row['scope']}"]
    if row["actual"] is not None:
        words += [": ", Amount(row["actual"], unit), " a day"]
        if row["expected"] is not None:
            words += [", over " if is_guardrail(row) else ", not ", Amount(row["expected"], unit)]
    called = f"{row['first_day']} {row['what']} of {row['scope']}"
    known = [note["name"] for note in notes if called in (note["explains"] or "").split("; ")]
    return [*words, f" ({', '.join([state, *known])})"]


def _largest(report: Report, figure: str, column: str) -> Words:
    """Return the largest value of a dimension, with its share of what is billed, and after what no value has, the next
    one; nothing where none is named."""
    whole = billed(report)["amount"]
    rows = [row for row in _rows(report, figure) if row["count"] == 1 and row["usd"] > 0][:2]
    if rows and rows[0][column] not in SAME_NAME.values():
        rows = rows[:1]
    if not any(row[column] not in SAME_NAME.values() for row in rows):
        return []
    words: list[str | Amount] = []
    for row in rows:
        percent = share_of(row["usd"], whole)
        words += [f"{', ' if words else ''}{row[column]} ", Amount(row["usd"]), f" ({percent})" if percent else ""]
    return words


def _seats(report: Report) -> Words:
    rows = _rows(report, "kinds")
    usage, seats, fees = (total(row["usd"] for row in rows if row["charge"] == each) for each in CHARGES)
    words: list[str | Amount] = [Amount(usage), " usage, ", Amount(seats), " seats"]
    if fees:
        words += [", ", Amount(fees), " taxes and credits"]
    idle = [row for row in _rows(report, "seats") if row["idle"]]
    if idle:
        known = [row for row in idle if row["usd_idle_a_month"] is not None]
        words += [f", {sum(row['idle'] for row in idle):,} idle ("]
        if known:
            words += [Amount(total(row["usd_idle_a_month"] for row in known)), " a month"]
        if unpriced := sum(row["idle"] for row in idle if row not in known):
            words += [f"{', ' if known else ''}{unpriced:,} of unknown price"]
        words += [")"]
    return words


def _unit_cost(report: Report) -> Words:
    """Return the unit cost that most people ask for, of those that are known."""
    rows = [row for row in _rows(report, "unit_costs") if row["usd_per_unit"] is not None and row["usd"] > 0]
    if not rows:
        return ["Unknown: no output is stored."]
    rank = {metric: number for number, metric in enumerate(RESULTS)}
    row = min(rows, key=lambda row: (rank.get(row["metric"], len(rank)), -row["usd"], row["scope"]))
    what = f" per {_one(row['metric'])} ({row['scope']}), {_days_of(report, 'unit_costs')}"
    words: list[str | Amount] = [Amount(row["usd_per_unit"]), what]
    if row["usd_per_unit_before"] and row["usd_per_unit_on_same_days"] == row["usd_per_unit"]:
        words += [", before ", Amount(row["usd_per_unit_before"])]
    elif row["usd_per_unit_before"]:
        now = Amount(row["usd_per_unit_on_same_days"])
        words += [", ", now, " against ", Amount(row["usd_per_unit_before"]), " on the days that are known of both"]
    return words


def _one(metric: str) -> str:
    return "active person" if metric == "active people" else metric.removesuffix("s")


def _saving(report: Report) -> Words:
    rows = [row for row in _rows(report, "what_if") if row["usd_change"] is not None and row["usd_change"] < 0]
    if not rows:
        is_known = "what_if" in report.figures
        return ["Nothing that list prices show." if is_known else "Unknown: what if is not computed yet."]
    row = min(rows, key=lambda row: (row["usd_change"], row["model"]))
    days = _days_of(report, "what_if")
    return [Amount(-row["usd_change"]), f" at list prices, {days}: {row['model']} → {row['instead']}"]


def _days_of(report: Report, figure: str) -> str:
    """The days of a figure, which may be those of the page's own period whatever range is chosen."""
    period = report.figures[figure].period
    return in_days(period.first, period.last)


def _certainty(report: Report) -> Answer:
    figures = (*CERTAINTY,)
    connections = [row for row in _rows(report, "connections") if not row["ended"]]
    due = sum(row["due_days"] for row in connections)
    failed = sum(row["days_with_failed_checks"] for row in connections)
    final, settled = ([row[f"{word}_until"] for row in connections] for word in ("final", "settled"))
    said: list[str] = []
    if connections and None not in final:
        until = min(final)
        days = "All days are final" if until >= report.period.last else f"Final until {in_days(until, until)}"
        said.append(f"{days} by the providers' word")
    elif connections:
        said.append(f"{_count([day for day in final if day is None], 'connection')} with no final day")
    if connections and None not in settled:
        said.append(f"settled until {in_days(min(settled), min(settled))}")
    elif connections:
        said.append(f"{_count([day for day in settled if day is None], 'connection')} without a settled day")
    said.append(f"{_count(range(due), 'day')} due" if due else "nothing due")
    if failed:
        said.append(f"{_count(range(failed), 'day')} with failed checks")
    words: list[str | Amount] = [", ".join(said), ". "]
    whole = billed(report)["amount"]
    nobody = total(row["usd_without_actor"] or Decimal(0) for row in _rows(report, "unattributed"))
    if percent := share_of(nobody, whole):
        words += [Amount(nobody), f" ({percent}) unattributed."]
    if unpriced := _rows(report, "unpriced"):
        words += [f" {_count(unpriced, 'amount')} without a dollar value."]
    if report.missing:
        words += [f" Never stored: {', '.join(report.missing)}."]
    by_itself = [[BY_ITSELF]] if due or None in settled else []
    return Answer("How sure is this?", [words, *by_itself], figures, needs_attention=bool(due or failed))


def first_screen(found: Sequence[Answer]) -> Iterator[tuple[int, Answer]]:
    """Yield the answers of the first screen with their numbers; after the amount, those that need attention."""
    numbered = [*enumerate(found[:4], 1)]
    yield numbered[0]
    yield from sorted(numbered[1:], key=lambda each: not each[1].needs_attention)
