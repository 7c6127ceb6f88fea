"""LiteLLM's own proxy as a process: `python proxy.py DATABASE` serves on loopback and prints its address.

It runs in an environment of its own (`make litellm`), where this project is not installed. Everything is LiteLLM's: the
HTTP routes, authentication, the price map, the queue of spend, its SQL and the tables that its own migrations make.
Only Prisma's engine, a binary that no package registry has, is replaced: ``Database`` sends the SQL to PostgreSQL.
`python proxy.py schema` prints the JSON schema of its answers instead.
"""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

FOLDER = Path(__file__).parent
os.environ |= {
    "CONFIG_FILE_PATH": str(FOLDER / "config.yaml"),
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # the price map of the package, not of the day
    "LITELLM_MODE": "PRODUCTION",  # reads no .env
}

import litellm_proxy_extras  # noqa: E402
import psycopg  # noqa: E402
import uvicorn  # noqa: E402
from litellm.proxy import proxy_server  # noqa: E402
from litellm.proxy._types import LitellmUserRoles, UserAPIKeyAuth  # noqa: E402
from litellm.proxy.db.daily_spend_bulk_upsert import DAILY_SPEND_TABLES  # noqa: E402
from litellm.proxy.utils import PrismaClient  # noqa: E402
from litellm.types.proxy.management_endpoints.common_daily_activity import (  # noqa: E402
    SpendAnalyticsPaginatedResponse,
)
from psycopg.rows import dict_row  # noqa: E402

ADMIN_KEY = "sk-nobody-admin"
CALLERS = {
    ADMIN_KEY: {"user_id": "admin", "user_role": LitellmUserRoles.PROXY_ADMIN},
    "sk-nobody-helpdesk": {"user_id": "svc-helpdesk", "team_id": "team-support"},
    "sk-nobody-ivan": {"user_id": "ivan@corp.example"},
}
COMPARISONS = {"gte": ">=", "lte": "<=", "in": "= any", "equals": "="}


async def authenticate(_request: object, api_key: str) -> UserAPIKeyAuth:
    """Return whose a key is (``custom_auth``). Raises ValueError for an unknown key."""
    if api_key not in CALLERS:
        raise ValueError("Invalid proxy server token passed.")
    return UserAPIKeyAuth(api_key=api_key, **CALLERS[api_key])


class Table:
    """A daily table as Prisma's client offers it, as far as the reports read it."""

    def __init__(self, database: "Database", name: str) -> None:
        self._database, self._name = database, name

    async def count(self, where: Mapping[str, Any]) -> int:
        text, values = _where(where)
        [row] = await self._database.query_raw(f'select count(*) from "{self._name}" where {text}', *values)
        return int(row["count"])

    async def find_many(
        self, where: Mapping[str, Any], skip: int, take: int, order: Iterable[Mapping[str, str]]
    ) -> list[SimpleNamespace]:
        text, values = _where(where)
        by = ", ".join(f'"{column}" {way}' for each in order for column, way in each.items())
        sql = f'select * from "{self._name}" where {text} order by {by} offset {skip} limit {take}'
        return [SimpleNamespace(**row) for row in await self._database.query_raw(sql, *values)]


def _where(conditions: Mapping[str, Any]) -> tuple[str, list[Any]]:
    terms, values = ["true"], []
    for column, wanted in conditions.items():
        for how, value in (wanted if isinstance(wanted, dict) else {"equals": wanted}).items():
            values.append(value)
            terms.append(f'"{column}" {COMPARISONS[how]} (${len(values)})')
    return " and ".join(terms), values


class Nothing:
    """Any other table: it is empty, and forgets what is written to it."""

    def __getattr__(self, name: str) -> Any:
        async def answer(*_: Any, **__: Any) -> Any:
            return [] if name == "find_many" else None

        return answer


class Database:
    """What Prisma's client is for the proxy: LiteLLM's own SQL, and its daily tables."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._tables = {table.name.lower(): Table(self, table.name) for table in DAILY_SPEND_TABLES.values()}

    def __getattr__(self, name: str) -> Any:
        return self._tables.get(name) or Nothing()

    async def query_raw(self, sql: str, *values: Any) -> Any:
        connected = psycopg.AsyncConnection.connect(
            self._address, row_factory=dict_row, cursor_factory=psycopg.AsyncRawCursor
        )
        async with await connected as session:
            cursor = await session.execute(sql, values)
            return await cursor.fetchall() if cursor.description else cursor.rowcount

    execute_raw = query_raw

    @asynccontextmanager
    async def tx(self, **_: Any) -> AsyncIterator["Database"]:
        yield self


def migrate(address: str) -> None:
    """Make the tables with LiteLLM's own migrations."""
    folder = Path(litellm_proxy_extras.__file__).parent / "migrations"
    with psycopg.connect(address, autocommit=True) as session:
        for file in sorted(folder.glob("*/migration.sql")):
            session.execute(file.read_text().encode())


async def write_spend() -> dict[str, bool]:
    """Write the queues of spend to the daily tables now, which LiteLLM does every minute."""
    logging = proxy_server.proxy_logging_obj
    writer = logging.db_spend_update_writer
    for queue, entity, commit in (
        (writer.daily_spend_update_queue, "user", writer.update_daily_user_spend),
        (writer.daily_team_spend_update_queue, "team", writer.update_daily_team_spend),
        (writer.daily_end_user_spend_update_queue, "end_user", writer.update_daily_end_user_spend),
        (writer.daily_tag_spend_update_queue, "tag", writer.update_daily_tag_spend),
    ):
        await writer._flush_daily_spend_queue(
            queue=queue,
            entity_type=entity,
            commit=commit,
            prisma_client=proxy_server.prisma_client,
            n_retry_times=0,
            proxy_logging_obj=logging,
        )
    return {"written": True}


async def serve(address: str) -> None:
    migrate(address)
    proxy_server.app.add_api_route("/write_spend", write_spend, methods=["POST"])
    server = uvicorn.Server(uvicorn.Config(proxy_server.app, log_level="warning"))
    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    client = PrismaClient.__new__(PrismaClient)
    client.db = Database(address)
    proxy_server.prisma_client = client
    proxy_server.cost_tracking()
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    await serving


def schema() -> dict[str, Any]:
    """Return the JSON schema of an answer: every field required, and no other one allowed."""
    answer = SpendAnalyticsPaginatedResponse.model_json_schema(mode="serialization")
    definitions = {**answer.pop("$defs"), SpendAnalyticsPaginatedResponse.__name__: answer}
    for definition in definitions.values():
        definition |= {"additionalProperties": False, "required": sorted(definition["properties"])}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": _without_prose(definitions)}


def _without_prose(value: Any) -> Any:
    if isinstance(value, dict):
        prose = {name for name in ("title", "description", "default") if not isinstance(value.get(name), dict)}
        return {name: _without_prose(inner) for name, inner in value.items() if name not in prose}
    return [_without_prose(inner) for inner in value] if isinstance(value, list) else value


def main(arguments: Sequence[str]) -> None:
    if arguments == ["schema"]:
        print(json.dumps(schema(), indent=2))
    else:
        asyncio.run(serve(*arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
