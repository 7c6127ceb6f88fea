"""Random figures of the server, and the command that each of them gives, run with ``--verify``."""

import io
import json
import shlex
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from mcp import Client

from usage_assets.cli.access import warehouse_now
from usage_assets.cli.main import main
from usage_assets.warehouse.errors import WarehouseError
from usage_assets_assistant.explain.chain import Explainer
from usage_assets_assistant.explain.figures import Figure as Explained
from usage_assets_assistant.explain.figures import figures_of
from usage_assets_assistant.explain.recompute import recomputed, value_of
from usage_assets_assistant_tests.explain.explained import start_of
from usage_assets_assistant_tests.mcp.golden_answers import ask
from usage_assets_assistant_tests.mcp.golden_books import ABOUT, text_of
from usage_assets_assistant_tests.mcp.golden_company import DAYS, LAST, GoldenCompany
from usage_assets_tests.fixtures import IS_NIGHT
from usage_assets_tests.models.days import cases

COUNT, SEED, OF_A_CALL = 200 if IS_NIGHT else 20, 34, 3
DRAWN = DAYS if IS_NIGHT else DAYS[-4:]
HIDDEN = ("a person", "an address")
"""What stands for people in the answers to an assistant that sees none."""
OF_COMPUTED = {
    "budgets": ("spent", "connection chatgpt"),
    "forecast": ("so_far", "connection editor"),
}
"""Tool -> its figure that is a sum of stored amounts, or one of them, and the scope of it by day."""
COLUMNS = {"spent": ("settled", "provisional"), "so_far": ("settled", "provisional")}
"""Figure -> the columns that `explain` shows of it."""


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure as the server gives it."""

    tool: str
    name: str
    text: str | None
    about: Mapping[str, str | None]
    command: str | None

    @property
    def is_hidden(self) -> bool:
        """Whether its row stands for people whom the assistant does not see."""
        return any(hidden in (value or "") for value in self.about.values() for hidden in HIDDEN)


def calls(random: Random) -> Iterator[dict[str, Any]]:
    """Calls of `spend` about one to three random days, some of them about one connection."""
    while True:
        first = random.choice(DRAWN)
        last = min(first + timedelta(days=random.choice((0, 0, 0, 1, 2))), LAST)
        basis = random.choice((None, "billed", "estimated", "notional", "credits"))
        connection = random.choice((None, None, None, "openai", "anthropic", "chatgpt", "gateway", "editor", "copilot"))
        named = {"by": random.choice([*ABOUT]), "cost_basis": basis, "connection": connection}
        yield {**named, "first": str(first), "last": str(last)}


async def drawn(client: Client, random: Random, count: int) -> list[Figure]:
    """Random figures of random calls."""
    found: list[Figure] = []
    for arguments in calls(random):
        rows = (await ask(client, "spend", arguments)).rows
        chosen = random.sample(rows, min(OF_A_CALL, len(rows)))
        found += [
            each for each in map(_of_spend, chosen) if not each.is_hidden and (each.command or not _is_of_kinds(each))
        ]
        if len(found) >= count:
            return found[:count]
    raise AssertionError


def _is_of_kinds(figure: Figure) -> bool:
    """Whether it is of a kind of use: several names of one family, of one connection, have no command."""
    return "usage_type" in figure.about


async def hidden(client: Client) -> AsyncIterator[Figure]:
    """The figures of a day that stand for people."""
    for by in ("person", "actor", "api_key"):
        for row in (await ask(client, "spend", {"by": by, "first": str(LAST), "last": str(LAST)})).rows:
            if (figure := _of_spend(row)).is_hidden:
                yield figure


async def computed(client: Client) -> list[Figure]:
    """One figure of each tool that shows what is computed; by day, of one connection, where there is such a row."""
    found = []
    for tool, (name, scope) in OF_COMPUTED.items():
        rows = [row for row in (await ask(client, tool, {})).rows if row.get("explain") and row["values"][name]]
        row = next(row for row in rows if IS_NIGHT or row["about"]["scope"] == scope)
        found.append(Figure(tool, name, row["values"][name], row["about"], row["explain"]))
    return found


KEPT = [
    (tuple(options.split()), dict(each.split("=") for each in filters.split("; ")))
    for filters, options in cases("""
    by=model; team=web ->
    by=team; model=claude-opus-5 ->
    by=team; cost_center=4711 ->
    by=project; team=web ->
    by=day; project=Support Bot 🤖 ->
    by=team -> --teams web
    by=day -> --teams web
    by=model -> --teams web
    cost_basis=billed -> --connections openai
    """)
]
"""Options of the server, and filters of a call: the command of its first row must have both."""


async def first_of(client: Client, arguments: Mapping[str, str]) -> Figure:
    """The first figure that is billed on a day."""
    of_a_day = {"first": "2026-11-18", "last": "2026-11-18", "cost_basis": "billed"}
    return _of_spend((await ask(client, "spend", {**of_a_day, **arguments})).rows[0])


def _of_spend(row: Mapping[str, Any]) -> Figure:
    return Figure("spend", "amount", row["values"]["amount"], row["about"], row.get("explain"))


def wrong(figure: Figure) -> str | None:
    """What the command of a figure says instead, computed from archived bytes; None if it says the same."""
    assert figure.command
    out, err = io.StringIO(), io.StringIO()
    words = [*shlex.split(figure.command)[1:], "--verify", "--json"]
    for name in () if IS_NIGHT else COLUMNS.get(figure.name, ()):  # others are of all days
        words += ["--column", name]
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(words)
    if ended.value.code:
        return f"{figure.command}: exit code {ended.value.code}, {err.getvalue().strip()}"
    shown = {each["column"]: each for each in json.loads(out.getvalue())["figures"]}
    columns = COLUMNS.get(figure.name, tuple(shown))
    for kind in ("value", "recomputed"):
        value = text_of(sum((Decimal(shown[name][kind]) for name in columns), Decimal(0)))
        if value != figure.text:
            return f"{figure.command}: {kind} {value}, answered {figure.text}"
    return None


def all_wrong(figures: Sequence[Figure], company: GoldenCompany) -> Iterator[str]:
    """The same of many figures, whose days are computed again once: as ``explain --verify`` does for all of a row."""
    with warehouse_now(company.settings).reading() as database:
        explainer = Explainer(company.settings, database)
        meant: dict[Figure, Explained] = {}
        for figure in figures:
            assert figure.command
            try:
                [meant[figure]] = figures_of(database, start_of(figure.command), company.settings.forgotten())
            except WarehouseError as error:
                yield f"{figure.command}: {error}"
        with recomputed(explainer, [*meant.values()]) as again:
            for figure, explained in meant.items():
                for kind, value in (("value", explained.value), ("recomputed", value_of(again, explained))):
                    if value is None or text_of(value) != figure.text:
                        yield f"{figure.command}: {kind} {value}, answered {figure.text}"
