"""A pooler in front of PostgreSQL: pgbouncer, which Debian packages."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from psycopg.conninfo import conninfo_to_dict

SETTINGS = """
[databases]
* = host={server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
server_round_robin = {takes_turns}
server_login_retry = 0.1
ignore_startup_parameters = options, extra_float_digits
"""


@contextmanager
def pooled(database: str, mode: str, *, takes_turns: int = 0) -> Iterator[str]:
    """Yield the connection string of a database through pgbouncer."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        settings = Path(folder, "pgbouncer.ini")
        known = conninfo_to_dict(database)
        settings.write_text(SETTINGS.format(server=known["host"], port=port, mode=mode, takes_turns=takes_turns))
        settings.chmod(0o644)
        user = Path(str(known["host"])).stat().st_uid if os.getuid() == 0 else None  # it refuses to be root
        address = f"host=127.0.0.1 port={port} user=postgres dbname={known['dbname']}"
        with subprocess.Popen(["pgbouncer", "--quiet", settings], user=user, stderr=subprocess.DEVNULL) as pooler:
            try:
                while pooler.poll() is None:
                    try:
                        psycopg.connect(address).close()
                        break
                    except psycopg.OperationalError:
                        time.sleep(0.02)
                assert pooler.poll() is None
                yield address
            finally:
                pooler.kill()
