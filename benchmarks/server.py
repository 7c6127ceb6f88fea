"""What the product is measured against, in processes of their own: their memory and CPU do not count as the product's.

The sandbox with a latency, and an OpenAI of made-up days that are as large as you like.
"""

import argparse
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, cast

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from benchmarks.bodies import page
from usage_assets_sandbox.app import HOST, listen

DAY_SECONDS = 86_400
NOTHING = b'{"object":"list","data":[],"has_more":false,"first_id":null,"last_id":null}'
"""A list of projects or people."""


@contextmanager
def running(module: str, *arguments: str) -> Iterator[str]:
    """A server in a process of its own; yields the address that it prints."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own module
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise RuntimeError(f"{module} did not start")
            yield line.split()[-1]
        finally:
            process.terminate()


def answered(url: str) -> Sequence[Mapping[str, Any]]:
    """What the sandbox has answered since this was asked last."""
    listed = httpx.get(f"{url}/control/requests").raise_for_status().json()["requests"]
    httpx.post(f"{url}/control/requests/clear").raise_for_status()
    return cast("Sequence[Mapping[str, Any]]", listed)


async def _answer(request: Request) -> StreamingResponse:
    path, asked = request.path_params["path"], request.query_params
    if "start_time" not in asked:
        return StreamingResponse(iter([NOTHING]), media_type="application/json")
    start, end = (int(asked[name]) for name in ("start_time", "end_time"))
    first, days = datetime.fromtimestamp(start, UTC).date(), (end - start) // DAY_SECONDS
    is_control = path.endswith("costs") and not any(name.startswith("group_by") for name in asked)
    chunks = page(path, first, days, request.app.state.rows, request.app.state.people, is_control=is_control)

    async def body() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return StreamingResponse(body(), media_type="application/json")


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description="An OpenAI of made-up days.")
    parser.add_argument("--rows", type=int, required=True, help="results a day")
    parser.add_argument("--people", type=int, default=0, help="who have them; one for ten results")
    app = Starlette(routes=[Route("/{path:path}", _answer)])
    arguments = parser.parse_args()
    app.state.rows, app.state.people = arguments.rows, arguments.people
    listener = listen(0)
    print(f"listening on http://{HOST}:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off")).run(sockets=[listener])


if __name__ == "__main__":
    main()
