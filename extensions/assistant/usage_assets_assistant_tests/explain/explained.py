"""What a command of the report explains."""

import shlex
from decimal import Decimal

import duckdb

from usage_assets.core.forgotten import Forgotten
from usage_assets_assistant.explain.command import explain
from usage_assets_assistant.explain.figures import OPTIONS, Start, figures_of
from usage_assets_report.figures import Figure


def start_of(command: str) -> Start:
    """What a command of the page explains."""
    program, name, *arguments = shlex.split(command)
    assert (program, name) == ("usage-assets", "explain")
    typed = explain.make_context("explain", arguments).params
    chosen = {option: text for option in OPTIONS if (text := typed[option.replace("-", "_")]) is not None}
    where = [(column, value) for column, _, value in (text.partition("=") for text in typed["where"])]
    return Start(table=typed["table"], columns=typed["columns"], options=chosen, where=where)


def figures_explained(command: str, database: duckdb.DuckDBPyConnection) -> dict[str, Decimal | int | None]:
    """Column -> value of what a command of the page explains."""
    start = start_of(command)
    return {figure.column: figure.value for figure in figures_of(database.cursor(), start, Forgotten())}


def shown_as(figure: str, found: dict[str, Decimal | int | None]) -> dict[str, object]:
    """The explained figures as the columns of the page call them."""
    names = {
        "claude_code": {"num_sessions": "sessions"},
        "codex": {"text_total_tokens": "tokens"},
        "forecast": {name: f"usd_{name}" for name in ("expected", "low", "high")},
        "forecast_days": {name: f"usd_{name}" for name in ("expected", "low", "high")},
        "images": {"num_model_requests": "requests"},
    }.get(figure, {})
    shown: dict[str, object] = {names.get(name, name): value for name, value in found.items()}
    tools = {outcome: [name for name in found if name.endswith(f"_{outcome}")] for outcome in ("accepted", "rejected")}
    shown |= {outcome: sum(shown.pop(name) for name in each) for outcome, each in tools.items() if each}  # type: ignore[misc]
    if "provisional" in shown:
        spent, part = ("spent", "provisional_part") if figure == "budgets" else ("usd_so_far", "usd_provisional")
        shown[part] = shown.pop("provisional")
        shown[spent] = shown.pop("settled") + shown[part]  # type: ignore[operator]
    return shown


def assert_commands_explain(figure: Figure, database: duckdb.DuckDBPyConnection) -> int:
    """Compare the commands of some rows of a figure with the rows; return how many rows have one."""
    with_commands = [pair for pair in zip(figure.commands, figure.rows.to_pylist(), strict=True) if pair[0]]
    for commands, row in [*with_commands[:1], *with_commands[1:][-1:]]:
        for command in commands:
            found = figures_explained(command, database)
            if [*found] in (["amount_usd"], ["native_amount"]):
                assert [*found.values()] == [next(row[each] for each in ("usd", "amount", "stored") if each in row)]
            else:
                found.pop("cached_input_tokens", None)
                shown = shown_as(figure.name, found)
                assert {column: row[column] for column in shown} == shown, command
    return len(with_commands)
