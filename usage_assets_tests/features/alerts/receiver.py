"""What stands behind the webhook in tests: it keeps what it was sent."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from usage_assets_tests.in_background import in_background

PATH = "/services/T0/B0/secret-token"


@dataclass
class Receiver:
    """What stands behind the webhook, and what it was sent."""

    url: str
    status: int = 200
    body: str = "ok"
    is_silent: bool = False
    """Whether it hangs up without an answer."""
    paths: list[str] = field(default_factory=list)
    messages: list[Any] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        """The texts of the messages."""
        assert all(message.keys() == {"text"} for message in self.messages)
        return [message["text"] for message in self.messages]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on this machine that takes everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/json"
            received.paths.append(self.path)
            received.messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if received.is_silent:
                self.close_connection = True
                return
            self.send_response(received.status)
            self.end_headers()
            self.wfile.write(received.body.encode())

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received = Receiver(f"http://127.0.0.1:{server.server_port}{PATH}")
    with in_background(server):
        yield received
