"""Processes that are forked as those of runs are, and use at once what their parent has only imported.

``python -m usage_assets_tests.forked_children NUMBER`` starts them, eight at a time. It is a program of its own,
because a process has one fork server.
"""

import faulthandler
import multiprocessing
import signal
import socket
import ssl
import sys
from concurrent import futures
from contextlib import suppress

import duckdb
import grpc  # type: ignore[import-untyped]  # its stubs are a package of their own
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import trustme

AT_ONCE = 8
LIMIT = 120
"""Seconds after which a child that hangs is said."""


def work(number: int, certificate: bytes, https: int, rpc: int) -> None:
    """Compute, store, connect and be interrupted. An exception is exit code 1; where a child hangs is printed."""
    faulthandler.dump_traceback_later(LIMIT / 2)
    rows = pa.table({"n": np.arange(10_000), "text": [str(each % 7) for each in range(10_000)]})
    assert pc.sum(rows["n"]).as_py() == 49_995_000
    assert rows.group_by("text").aggregate([("n", "sum")]).num_rows == 7
    assert float(np.ones((200, 200)).dot(np.ones((200, 200))).sum()) == 200**3
    with duckdb.connect(config={"threads": 2}) as database:
        assert database.execute("select sum(n)::bigint, count(distinct text) from rows").fetchone() == (49_995_000, 7)
    context = ssl.create_default_context(cadata=certificate.decode())
    with (
        socket.create_connection(("127.0.0.1", https)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        secured.sendall(str(number).encode())
        assert secured.recv(100) == str(number).encode()
    with grpc.insecure_channel(f"127.0.0.1:{rpc}") as channel:
        asked = channel.unary_unary("/tests/echo")
        assert asked(str(number).encode(), timeout=LIMIT) == str(number).encode()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it in what it starts in the background
    with suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)  # to this thread: one that reaches another is seen by nobody who waits
        sys.exit("it was not interrupted")


def echo_secured(listening: socket.socket, context: ssl.SSLContext, answers: futures.Executor) -> None:
    """Answer each connection with what it has sent."""

    def answer(plain: socket.socket) -> None:
        with plain, context.wrap_socket(plain, server_side=True) as secured:
            secured.sendall(secured.recv(100))

    with suppress(OSError):
        while True:
            answers.submit(answer, listening.accept()[0])


def main() -> None:
    """Start the children, and say how many ended well."""
    number = int(sys.argv[1])
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["usage_assets.preload"])
    authority = trustme.CA()
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server_side)
    echo = grpc.method_handlers_generic_handler(
        "tests", {"echo": grpc.unary_unary_rpc_method_handler(lambda request, _: request)}
    )
    rpc = grpc.server(futures.ThreadPoolExecutor(AT_ONCE), handlers=[echo])
    rpc_port = rpc.add_insecure_port("127.0.0.1:0")
    rpc.start()
    with socket.create_server(("127.0.0.1", 0)) as listening, futures.ThreadPoolExecutor(2 * AT_ONCE) as answers:
        answers.submit(echo_secured, listening, server_side, answers)
        arguments = (authority.cert_pem.bytes(), listening.getsockname()[1], rpc_port)
        codes = []
        for first in range(0, number, AT_ONCE):
            batch = [
                forks.Process(target=work, args=(n, *arguments)) for n in range(first, min(first + AT_ONCE, number))
            ]
            for child in batch:
                child.start()
            for child in batch:
                child.join(LIMIT)
                codes.append(child.exitcode)
                child.kill()
        listening.shutdown(socket.SHUT_RDWR)
    rpc.stop(None)
    for code in sorted({*codes}, key=str):
        print(f"{codes.count(code)} ended with {code}")


if __name__ == "__main__":
    main()
