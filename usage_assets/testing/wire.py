"""A wire between a client and an API: it knows what was asked, and breaks answers. HTTP servers in a thread."""

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from threading import Thread

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from usage_assets.testing.account import Account

UNAVAILABLE, CUT, PAGE = "503", "an answer that ends in the middle", "a page of HTML"
"""How a wire breaks an answer."""
FAULTS = (UNAVAILABLE, CUT, PAGE)
PASSED_ON = ("content-type", "retry-after", "location")


@contextmanager
def serve(app: ASGIApp) -> Iterator[str]:
    """Serve an app on this machine; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="auto"))
        thread = Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()  # until it is up, callers wait in the line of the socket
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


class Wire:
    """Passes requests on to an account's API. ``address`` is where it is served."""

    address = ""

    asked: list[str]
    """Method, path and query of each request."""
    faults: list[str]
    """How the next answers are broken."""
    echo: Callable[[Request], Response] | None
    """What answers in the account's place."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.mend()
        routes = [Route("/{path:path}", self._answer, methods=["GET", "POST"])]
        self.app = Starlette(routes=routes, lifespan=self._connected)

    def mend(self) -> None:
        """Forget what was asked, and pass everything on."""
        self.asked, self.faults, self.echo = [], [], None

    @asynccontextmanager
    async def _connected(self, _app: Starlette) -> AsyncIterator[None]:
        """Have one client: to make one reads all certificates."""
        async with httpx.AsyncClient(timeout=30) as self._client:
            yield

    async def _answer(self, request: Request) -> Response:
        method, target = request.method, f"{request.url.path}?{request.url.query}".rstrip("?")
        self.asked.append(f"{method} {target}")
        if self.echo:
            return self.echo(request)
        fault = self.faults.pop(0) if self.faults else None
        if fault == UNAVAILABLE:
            return JSONResponse({"error": {"message": "unavailable"}}, 503)
        if fault == PAGE:
            return HTMLResponse("<html>Sign in</html>")
        headers = {name: value for name, value in request.headers.items() if name not in ("host", "connection")}
        answer = await self._client.request(
            request.method,
            self.account.base_url.rstrip("/") + target,
            headers=headers,
            content=await request.body(),
        )
        content = answer.content[: len(answer.content) // 2] if fault == CUT else answer.content
        kept = {name: value for name, value in answer.headers.items() if name in PASSED_ON}
        return Response(content, answer.status_code, kept)
