"""Hosts that are namespaces of this machine: each has its own network, processes and host name, and shares the files.

The drill itself runs in namespaces, too (``enter``), and the first process there is the drill. When it ends, however it
ends, the kernel kills every process and removes every network with it. Nothing of it can be seen from the outside.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

UNSHARE = ("unshare", "--net", "--pid", "--uts", "--mount-proc", "--fork", "--kill-child")
NSENTER = ("nsenter", "--net", "--pid", "--uts", "--mount")
NETWORK = "10.231.0"
OUTSIDE = f"{NETWORK}.254"
"""Where the hosts reach what is not theirs: the emulated providers and Port."""
PORT = 8000
LOCAL = f"http://127.0.0.1:{PORT}"
"""What each host calls the providers: the product refuses http:// to anything but loopback."""
STAY = 'hostname "$0"; ip link set lo up; echo; while :; do sleep 1000; done'
INSTALL = "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y iproute2 >/dev/null"
AGAIN = 'while :; do "$@"; echo "ended with $?: started again"; sleep 1; done'


class DrillError(Exception):
    """What differs, or why the drill could not be held."""


def refusal() -> str:
    """Why this machine cannot hold the drill; empty where it can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "network namespaces need Linux and root"
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True)
    return tried.stderr.strip()


def enter(module: str, *arguments: str) -> None:
    """Become this module in namespaces of its own."""
    if not shutil.which("ip"):
        subprocess.run(["sh", "-c", INSTALL], check=True)
    os.execvp(UNSHARE[0], [*UNSHARE, sys.executable, "-m", module, *arguments])


def ip(*words: str, inside: Sequence[str] = ()) -> None:
    subprocess.run([*inside, "ip", *words], check=True)


def build() -> None:
    """Make the network that connects the hosts, and this process with them."""
    ip("link", "set", "lo", "up")
    ip("link", "add", "hosts", "type", "bridge")
    ip("address", "add", f"{OUTSIDE}/24", "dev", "hosts")
    ip("link", "set", "hosts", "up")


class Host:
    """A host with a folder of its own. Whatever runs on it ends with it."""

    def __init__(self, name: str, number: int, folder: Path, variables: Mapping[str, str]) -> None:
        self.name, self.address, self.folder = name, f"{NETWORK}.{number}", folder / name
        self.folder.mkdir(exist_ok=True)
        self.variables = {**variables, "HOME": str(self.folder)}
        self._first = subprocess.Popen(
            [*UNSHARE, "sh", "-c", STAY, name], stdout=subprocess.PIPE, start_new_session=True
        )
        assert self._first.stdout
        self._first.stdout.readline()
        child = subprocess.check_output(["ps", "-o", "pid=", "--ppid", str(self._first.pid)], text=True).strip()
        self._inside = [*NSENTER, f"--target={child}"]
        self.link = f"to-{name}"
        ip("link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", child)
        ip("link", "set", self.link, "master", "hosts", "up")
        ip("address", "add", f"{self.address}/24", "dev", "eth0", inside=self._inside)
        ip("link", "set", "eth0", "up", inside=self._inside)
        self.forward("outside", f"127.0.0.1:{PORT}", f"{OUTSIDE}:{PORT}")

    def command(self, *words: str, user: str = "") -> list[str]:
        """Return the command as it is run on this host."""
        as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        return [*self._inside, f"--wd={self.folder}", "--", *as_user, *words]

    def run(self, *words: str, user: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command until it ends."""
        command, environment = self.command(*words, user=user), {**self.variables, **variables}
        return subprocess.run(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def keep(self, name: str, *words: str) -> None:
        """Start a service, and start it again whenever it ends, as systemd and Kubernetes do."""
        with (self.folder / f"{name}.log").open("ab") as log:
            subprocess.Popen(
                self.command("sh", "-c", AGAIN, "sh", *words),
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def forward(self, name: str, here: str, there: str) -> None:
        """Pass connections on."""
        self.keep(name, sys.executable, __file__, here, there)

    def cut_off(self) -> None:
        """Let nothing pass to the host or from it. Nobody is told: connections stay open on both sides."""
        ip("link", "set", self.link, "down")

    def connect(self) -> None:
        """Let everything pass again."""
        ip("link", "set", self.link, "up")

    def stop(self) -> None:
        """End every process of the host at once."""
        self._first.kill()
        self._first.wait()


class Forward:
    """Connections that are passed on, and who made them: (address of the caller, first part of the path)."""

    def __init__(self, here: str, there: str) -> None:
        self._here, self._there = here.split(":"), there.split(":")
        self.asked: set[tuple[str, str]] = set()

    def start(self) -> None:
        """Pass on in a thread, until this process ends."""
        threading.Thread(target=lambda: asyncio.run(self.serve()), daemon=True).start()

    async def serve(self) -> None:
        host, port = self._here
        async with await asyncio.start_server(self._pass_on, host, int(port)) as server:
            await server.serve_forever()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        caller = writer.get_extra_info("peername")[0]
        try:
            target, answer = await asyncio.open_connection(self._there[0], int(self._there[1]))
            await asyncio.gather(self._copy(reader, answer, caller), self._copy(target, writer))
        except OSError:
            writer.transport.abort()

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, caller: str = "") -> None:
        with suppress(OSError):
            while data := await source.read(1 << 16):
                words = data[:200].split(b" ")
                if caller and len(words) > 1 and words[1].startswith(b"/"):
                    self.asked.add((caller, words[1].split(b"/")[1].decode()))
                target.write(data)
                await target.drain()
        target.close()


if __name__ == "__main__":
    asyncio.run(Forward(*sys.argv[1:]).serve())
