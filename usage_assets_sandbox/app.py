"""The sandbox as one Starlette app and its server: all emulated providers, and Port, on one loopback port.

It shares no code with the product: it is the independent witness that the product's tests rely on.
"""

import socket
import sys
from contextlib import suppress
from datetime import datetime

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount

from usage_assets_sandbox.control import DEFAULT_SEED, RequestLog, control_routes
from usage_assets_sandbox.credentials import dotenv
from usage_assets_sandbox.directory import Directory
from usage_assets_sandbox.faults import FaultMiddleware
from usage_assets_sandbox.ledger import Clock, Ledger
from usage_assets_sandbox.port import PortStore, port_control, port_routes
from usage_assets_sandbox.providers import BOOKS, EMULATED
from usage_assets_sandbox.sandbox import Sandbox

HOST = "127.0.0.1"


def build_app(*, seed: int = DEFAULT_SEED, now: datetime | None = None) -> Starlette:
    """The app of the company that `seed` stands for; its clock stands at `now` (aware) or is real time.

    What changes while it runs is `app.state.sandbox`, a sandbox.Sandbox.
    """
    clock = Clock(now)
    sandbox = Sandbox(Ledger(seed, clock, BOOKS), PortStore(clock=clock.now), Directory(seed, clock))
    providers = [mount for emulated in EMULATED.values() for mount in emulated.routes(sandbox)]
    app = Starlette(
        routes=[
            *sorted(providers, key=lambda mount: len(mount.path), reverse=True),
            Mount("/port/v1", routes=port_routes(sandbox.port)),
            Mount("/control", routes=[*control_routes(sandbox), *port_control(sandbox.port)]),
        ],
        middleware=[
            Middleware(RequestLog, sandbox.requests),
            Middleware(FaultMiddleware, sandbox.faults, sandbox.connections),
        ],
    )
    app.state.sandbox = sandbox
    return app


class SandboxServer(uvicorn.Server):
    """A uvicorn server for one sandbox that says on stdout where it listens once it does, and with which settings."""

    def __init__(self, app: Starlette) -> None:
        # Idle connections outlive those of common clients (5 s), so that a pooled one is never closed under a request.
        config = uvicorn.Config(
            app, log_level="warning", lifespan="off", timeout_keep_alive=60, timeout_graceful_shutdown=1
        )
        super().__init__(config)
        app.state.sandbox.connections.open = self.server_state.connections

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start serving, then print the address and an `.env`."""
        await super().startup(sockets)
        port = (sockets or [])[0].getsockname()[1]
        address = f"http://{HOST}:{port}"
        print(f"sandbox listening on {address}", f"# .env for it:\n{dotenv(address)}", sep="\n", flush=True)


def listen(port: int) -> socket.socket:
    """A socket on loopback; port 0 is any free one. Raises OSError when the port is taken."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(128)
    except (OSError, OverflowError):
        listener.close()
        raise
    return listener


def serve(port: int, *, seed: int = DEFAULT_SEED, now: datetime | None = None) -> None:
    """Serve until interrupted. Exits with code 2 and one line on stderr when the port cannot be used."""
    try:
        listener = listen(port)
    except (OSError, OverflowError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        print(f"sandbox: cannot listen on {HOST}:{port}: {reason}; choose another port (0: any)", file=sys.stderr)
        sys.exit(2)
    with suppress(KeyboardInterrupt):
        SandboxServer(build_app(seed=seed, now=now)).run(sockets=[listener])
