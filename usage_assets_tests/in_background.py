"""Servers of tests, which serve from another thread."""

from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseServer
from threading import Thread


@contextmanager
def in_background(server: BaseServer) -> Iterator[None]:
    """Serve until the test ends, also where it fails: the process would not end. Then close the server."""
    with server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
