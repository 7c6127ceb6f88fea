"""What an assistant waits for: the start of its server, and an answer of ``spend`` on a year of ten connections.

The server is a process of its own; it ends where its input does. Answers are asked for in this process, as the server
asks for them. The first one after a run opens the new copy, and is a figure of its own.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.commands import DATABASE, PYTHON_PATH, run, usage_assets
from benchmarks.figures import ROUNDS, Figure, cpu_of
from benchmarks.report import fill
from usage_assets.config.address import address_of
from usage_assets.core.days import DAY, Window, utc_today
from usage_assets.warehouse.database import Warehouse
from usage_assets_assistant.mcp.questions import By
from usage_assets_assistant.mcp.sight import Sight
from usage_assets_assistant.mcp.spend import spend
from usage_assets_assistant.mcp.store import Store

START_CPU_SECONDS, BEYOND_CPU_SECONDS, ANSWER_CPU_SECONDS = 1.2, 0.4, 0.2
PEOPLE, PROJECTS, CONNECTIONS = 2_000, 200, 10
QUESTIONS: tuple[By, ...] = ("provider", "team", "project", "model", "actor", "month")


def figures(days: int) -> Iterator[Figure]:
    """The figures of the start and of answers."""
    with TemporaryDirectory() as folder:
        yield from figures_of_start(Path(folder))
        yield from figures_of_answers(Path(folder), days)


def figures_of_start(folder: Path, rounds: int = ROUNDS) -> Iterator[Figure]:
    """CPU time of the server until it could answer, and beyond that of importing the SDK."""
    sdk = [sys.executable, "-c", "from mcp.server.mcpserver import MCPServer"]
    environment = {"USAGE_WAREHOUSE": str(folder / DATABASE), "PYTHONPATH": PYTHON_PATH}
    commands = (sdk, usage_assets("mcp"))
    sides = [[run(command, folder, environment).cpu for command in commands] for _ in range(1 + rounds)][1:]
    yield Figure.of_rounds(
        [(took, START_CPU_SECONDS) for _, took in sides],
        name="usage-assets mcp: start",
        unit="s",
        demanded=1,
        note=f"CPU time, of which the SDK takes {min(alone for alone, _ in sides):.2f} s; theirs: what is allowed",
    )
    yield Figure.of_rounds(
        [(took - alone, BEYOND_CPU_SECONDS) for alone, took in sides],
        name="usage-assets mcp: start beyond the SDK",
        unit="s",
        demanded=1,
        is_at_factor_1=True,
        note="CPU time; theirs: what is allowed",
    )


def figures_of_answers(folder: Path, days: int, people: int = PEOPLE) -> Iterator[Figure]:
    """CPU time of the first answer from a copy, and of the slowest of those that follow."""
    last = utc_today() - DAY
    window = Window(last - DAY * (days - 1), last)
    warehouse = Warehouse(database=str(folder / DATABASE))
    rows = fill(warehouse, window, people, PROJECTS, CONNECTIONS)
    store = Store(address_of(warehouse.database, None), Sight())

    def answer(by: By) -> None:
        with store.opened() as opened:
            spend(opened, str(window.first), str(window.last), by, {}, 50, None)

    first = cpu_of(lambda: answer("provider"))
    for by in QUESTIONS:  # views are made when they are asked for first
        answer(by)
    took = {by: sorted(cpu_of(lambda by=by: answer(by)) for _ in range(ROUNDS)) for by in QUESTIONS}  # type: ignore[misc]
    store.close()
    slowest = max(took, key=lambda by: took[by][ROUNDS // 2])
    yield Figure(name=f"mcp: first answer, {rows:,} rows", ours=first, unit="s", note="CPU time, with imports")
    yield Figure.of_rounds(
        [(each, ANSWER_CPU_SECONDS) for each in took[slowest]],
        name="mcp: spend of a year",
        unit="s",
        demanded=1,
        is_at_factor_1=True,
        note=f"CPU time by {slowest}, the slowest of {len(QUESTIONS)}; theirs: what is allowed",
    )
