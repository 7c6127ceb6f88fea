"""An object store for tests, from a wheel: SeaweedFS on loopback, which verifies signatures as Amazon's does.

It takes 4 s to start and 1 s of CPU time.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socket import create_server
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import httpx

SERVERS = ("master", "volume", "filer", "s3")
SECONDS_TO_START = 60
KEY = "usage-key"
SECRET = "the-right-secret"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}
"""Variables of somebody who may write. Buckets are made when something is written."""


def server_command(home: Path) -> tuple[list[str], int]:
    """Return what serves a store of this folder on loopback, and the port of S3.

    No port is a default one: the servers also meet at sockets in /tmp that have the names of their ports.
    """
    (home / "data").mkdir()
    identity = {"name": "usage", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
    (home / "identities.json").write_text(json.dumps({"identities": [identity]}))
    ports = [f"{server}.port{grpc}" for server in SERVERS for grpc in ("", ".grpc")]
    numbers = dict(zip(ports, _free_ports(len(ports)), strict=True))
    command = [
        *(str(Path(sys.executable).with_name("weed")), "server"),
        *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={home / 'data'}", "-master.telemetry=false"),
        *("-s3", f"-s3.config={home / 'identities.json'}", "-s3.port.iceberg=0", "-s3.port.lance=0"),
        *("-master.volumeSizeLimitMB=64", "-volume.max=0"),
        *(f"-{name}={number}" for name, number in numbers.items()),
    ]
    return command, numbers["s3.port"]


@contextmanager
def running_object_store() -> Iterator[str]:
    """Run a store; yield its address."""
    with TemporaryDirectory() as folder:
        home = Path(folder)
        command, port = server_command(home)
        said = home / "said"
        with said.open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env={"TMPDIR": folder, "HOME": folder})
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(url, process, said)
            yield url
        finally:
            process.kill()  # what it holds is thrown away
            process.wait()


def _wait_for(url: str, process: "subprocess.Popen[bytes]", said: Path) -> None:
    began = monotonic()
    while True:
        assert process.poll() is None, said.read_text()[-2000:]
        assert monotonic() - began < SECONDS_TO_START, said.read_text()[-2000:]
        try:
            if httpx.get(f"{url}/healthz").is_success:
                return
        except httpx.TransportError:
            sleep(0.1)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        return [held.enter_context(create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(count)]
