"""A wire to a PostgreSQL server that something happens to, when a client sends its nth piece."""

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread

AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER: a socket that is closed resets its connection, as a machine that is gone does."""


@dataclass
class Wire:
    """Forwards connections to a server, and counts what clients send."""

    place: Path | int
    """The server's socket, or its port on this machine."""
    sent: int = 0
    refuses: bool = False
    """Whether a new connection is ended at once."""
    _at: int = -1
    _fault: Callable[[], object] = str
    _open: set[socket.socket] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)
    _is_over: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        """Nothing happens yet."""
        self._is_over.set()

    def expect(self, fault: Callable[[], object], at: int) -> None:
        """Let something happen before the piece with this number is forwarded, counted from now on.

        Waits for the end of what happens: a client may end before it.
        """
        self._is_over.wait()
        with self._lock:
            self.sent, self._at, self._fault = 0, at, fault

    @property
    def has_happened(self) -> bool:
        """Whether it has."""
        return self._at < 0

    def cut(self) -> None:
        """End all connections, at both ends."""
        for each in [*self._open]:
            with suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
                each.shutdown(socket.SHUT_RDWR)

    def _serve(self, listening: socket.socket) -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            server = self._connected()
            if server is None:
                client.close()
                continue
            self._open |= {client, server}
            Thread(target=self._forward, args=(client, server, True), daemon=True).start()
            Thread(target=self._forward, args=(server, client, False), daemon=True).start()

    def _connected(self) -> socket.socket | None:
        if self.refuses:
            return None
        with suppress(OSError):
            if isinstance(self.place, int):
                return socket.create_connection(("127.0.0.1", self.place))
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self.place))
            return server
        return None

    def _forward(self, source: socket.socket, target: socket.socket, is_client: bool) -> None:
        with suppress(OSError):
            while piece := source.recv(1 << 16):
                if is_client:
                    self._count()
                target.sendall(piece)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            self._open.discard(each)

    def _count(self) -> None:
        with self._lock:
            fault, is_now = self._fault, self.sent == self._at
            self.sent += 1
            if is_now:
                self._at = -1
                self._is_over.clear()
        if is_now:
            try:
                fault()
            finally:
                self._is_over.set()


@contextmanager
def wired(place: Path | int) -> Iterator[tuple[Wire, int]]:
    """Yield a wire to a server, and the port at which it listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        wire = Wire(place)
        Thread(target=wire._serve, args=(listening,), daemon=True).start()
        try:
            yield wire, listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            wire.cut()
