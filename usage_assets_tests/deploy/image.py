"""`make image`: deploy/Dockerfile is built without Docker, and what compose.yaml starts from it is started here.

Each command runs as compose.yaml has it: the image's own user, no privileges, a read-only root. Loopback is the only
network. PostgreSQL and the object store come from wheels: the images of others are not tried. Needs root, and Debian's
buildah and debootstrap.
"""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import httpx
import psycopg

from demo.services import LAUNCH
from usage_assets.cli.dagster_dev import READY
from usage_assets_tests.deploy.reading import DEPLOY, POSTGRES_BIN, ROOT, from_image, loaded

BASE, IMAGE = "localhost/usage-assets-base", "localhost/usage-assets"
IN_BASE = "bash,ca-certificates,python3,python3-venv"
PIP_CONF, CERTIFICATES = Path("/etc/pip.conf"), Path("/etc/ssl/certs/ca-certificates.crt")
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
SANDBOX = "http://127.0.0.1:8200"
DAYS = [str((datetime.now(UTC) - timedelta(days=n)).date()) for n in (3, 2)]
LEFT = """{ partitionBackfillsOrError { ... on PartitionBackfills { results { status } } }
  runsOrError { ... on Runs { results { status } } } }"""
SECONDS_TO_BE_HEALTHY, SECONDS_TO_FINISH, SECONDS_TO_STOP = 180, 300, 60


class ImageError(Exception):
    """What does not work."""


def run(*command: str | Path, **options: Any) -> str:
    said: str = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, **options).stdout
    return said.strip()


# Building it


def build() -> None:
    """Build the Dockerfile on a base that debootstrap makes."""
    if not run("buildah", "images", "--filter", f"reference={BASE}", "--quiet"):
        with TemporaryDirectory() as folder:
            run("debootstrap", "--variant=minbase", f"--include={IN_BASE}", "bookworm", folder)
            container = run("buildah", "from", "scratch")
            run("buildah", "add", "--quiet", container, folder, "/")
            run("buildah", "commit", "--quiet", "--rm", container, BASE)
    local = ["--secret", f"id=pip,src={PIP_CONF}"] if PIP_CONF.is_file() else []
    if CERTIFICATES.is_file():  # of a proxy, perhaps
        local += ["--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro"]
    how = (
        "--isolation=chroot",
        "--network=host",
        "--pull=never",
        "--layers",
        f"--build-arg=BASE={BASE}",
        f"--tag={IMAGE}",
    )
    ignored = f"--ignorefile={DEPLOY / 'Dockerfile.dockerignore'}"
    run("buildah", "build", *how, *local, ignored, f"--file={DEPLOY / 'Dockerfile'}", ROOT)


# Running it


@dataclass(frozen=True)
class Container:
    """The image as all services of compose.yaml see it: their volumes and files are the same."""

    root: Path
    config: Mapping[str, Any]
    """As the image states it: Env, WorkingDir, User."""

    def command(self, words: Sequence[str], environment: Mapping[str, str]) -> list[str]:
        user, _, group = self.config["User"].partition(":")
        who = [f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs", "--bounding-set=-all"]
        named = [*self.config["Env"], *(f"{name}={value}" for name, value in environment.items())]
        # fmt: off
        return ["chroot", str(self.root), "setpriv", *who, "--inh-caps=-all",
                "env", "--ignore-environment", f"--chdir={self.config['WorkingDir']}", *named, *words]
        # fmt: on

    def works(self, *words: str, **environment: str) -> str:
        """What a command says. Raises ImageError if it fails."""
        done = subprocess.run(
            self.command(words, environment), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
        if done.returncode:
            raise ImageError(f"{' '.join(words)}: exit code {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def is_writable(self, folder: str) -> bool:
        try:
            self.works("touch", f"{folder}/written")
        except ImageError:
            return False
        return True


@contextmanager
def mounted(image: str, folder: Path) -> Iterator[Container]:
    """The image with a read-only root, and over it what compose.yaml mounts."""
    container = run("buildah", "from", "--pull=never", image)
    config = json.loads(run("buildah", "inspect", "--type=container", container))["OCIv1"]["config"]
    layers, root = Path(run("buildah", "mount", container)), folder / "root"
    uid, gid = map(int, config["User"].split(":"))
    root.mkdir()
    (folder / "hosts").write_text(f"127.0.0.1 localhost {' '.join(loaded('compose.yaml')['services'])}\n")
    (layers / "srv/usage/workspace.yaml").touch()
    mounts: list[tuple[str, Path, str]] = [("hosts", folder / "hosts", "/etc/hosts")]
    for volume in from_image(loaded("compose.yaml"))["code"]["volumes"]:
        source, _, target = volume.removesuffix(":ro").partition(":")
        if not target:  # /tmp, a tmpfs here
            continue
        place = DEPLOY / source if source.startswith(".") else folder / source
        if not source.startswith("."):
            place.mkdir(mode=0o700)
            os.chown(place, uid, gid)
        mounts.append((source, place, target))
    (folder / "dagster/dagster.yaml").touch()
    try:
        run("mount", "--bind", layers, root)
        run("mount", "-o", "remount,bind,ro", root)
        run("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", root / "tmp")
        run("mount", "-t", "proc", "proc", root / "proc")
        run("mount", "--rbind", "/dev", root / "dev")
        for _, place, target in mounts:
            run("mount", "--bind", place, f"{root}{target}")
        yield Container(root, config)
    finally:
        run("buildah", "rm", container)


@contextmanager
def started(name: str, words: Sequence[str | Path], log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A command in the background. Raises ImageError if it does not end soon after SIGTERM."""
    with log.open("wb") as output:
        process = subprocess.Popen(words, stdout=output, stderr=output, stdin=subprocess.DEVNULL, **options)
    try:
        yield process
    except BaseException:
        click.echo(f"--- {name}\n{log.read_text()[-4000:]}", err=True)
        raise
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            raise ImageError(f"{name} does not end after SIGTERM") from None


def wait_until(what: str, seconds: int, *processes: subprocess.Popen[bytes]) -> Iterator[None]:
    """Yield until the caller is content. Raises ImageError if that takes too long or a process ends."""
    deadline = time.monotonic() + seconds
    while True:
        yield
        if any(process.poll() is not None for process in processes):
            raise ImageError(f"{what}: a process has ended")
        if time.monotonic() > deadline:
            raise ImageError(f"{what}: not within {seconds} s")
        time.sleep(1)


@contextmanager
def postgres(folder: Path, secret: Mapping[str, str]) -> Iterator[None]:
    """The service ``postgres``: a server that asks for passwords, with both databases."""
    data, password = folder / "postgres", folder / "password"
    data.mkdir()
    password.write_text(secret["POSTGRES_PASSWORD"])
    for path in (folder, data, password):
        os.chown(path, 65534, 65534)
    variables = environment_of(loaded("compose.yaml")["services"]["postgres"], {}, secret)
    user = variables["POSTGRES_USER"]
    how = ("--username", user, "--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8")
    run(*NOBODY, POSTGRES_BIN / "initdb", "--pgdata", data, *how, cwd=folder)
    listens = ("-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}")
    place = f"host=127.0.0.1 user={user} password={secret['POSTGRES_PASSWORD']} dbname=postgres"
    with started(
        "postgres", (*NOBODY, POSTGRES_BIN / "postgres", "-D", data, *listens), folder / "postgres.log"
    ) as server:
        for _ in wait_until("postgres", 60, server):
            try:
                psycopg.connect(place).close()
                break
            except psycopg.OperationalError:
                continue
        there = {"PATH": f"{POSTGRES_BIN}:/bin", "PGHOST": "127.0.0.1", "PGPASSWORD": secret["POSTGRES_PASSWORD"]}
        run("env", *(f"{name}={value}" for name, value in (variables | there).items()), "sh", DEPLOY / "postgres.sh")
        yield


@contextmanager
def objects(folder: Path, secret: Mapping[str, str]) -> Iterator[None]:
    """The service ``objects``, with its own command and variables; its folder is another one."""
    service, data = loaded("compose.yaml")["services"]["objects"], folder / "objects"
    data.mkdir()
    command = [word.replace("-dir=/data", f"-dir={data}") for word in service["command"]]
    program = Path(sys.executable).with_name(service["entrypoint"][0])
    variables = {"HOME": str(folder), "TMPDIR": str(folder)} | environment_of(service, {}, secret)
    with started("objects", (program, *command), folder / "objects.log", env=variables, cwd=data) as server:
        for _ in wait_until("objects", 60, server):
            if answers(service["healthcheck"]["test"][-1]):
                break
        yield


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False


# What compose.yaml starts


def interpolated(value: object, secret: Mapping[str, str]) -> str:
    return re.sub(r"\$\{(\w+)[^}]*\}", lambda found: secret[found[1]], str(value))


def environment_of(
    service: Mapping[str, Any], env_file: Mapping[str, str], secret: Mapping[str, str]
) -> dict[str, str]:
    """The variables of a service: those of its env_file, and then its own."""
    own = {name: interpolated(value, secret) for name, value in service["environment"].items()}
    return {**(env_file if "env_file" in service else {}), **own}


def try_program(container: Container) -> None:
    """The programs of the image start, and write only where they should."""
    for words in (("usage-assets", "--version"), ("usage-assets", "--help"), ("dagster", "--version")):
        container.works(*words)
    click.echo(f"ok: {container.works('dagster-webserver', '--version').strip()}, as user {container.config['User']}")
    places = ["/", "/opt/usage-assets", "/srv/usage", "/srv/usage/dagster", "/srv/usage/data", "/tmp"]
    writable = [place for place in places if container.is_writable(place)]
    if writable != places[3:]:
        raise ImageError(f"writable: {', '.join(writable)}")
    click.echo(f"ok: only {', '.join(writable)} are writable")


def try_services(container: Container, folder: Path) -> None:
    """The services become healthy, fetch days when the UI is asked to, and end when they are told to."""
    compose, stack = loaded("compose.yaml"), ExitStack()
    secret = {name: secrets.token_hex(16) for name in re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text())}
    with stack:
        sandbox = (sys.executable, "-m", "usage_assets_sandbox", "--port", SANDBOX.rpartition(":")[2])
        stack.enter_context(started("sandbox", sandbox, log := folder / "sandbox.log"))
        stack.enter_context(postgres(folder / "database", secret))
        stack.enter_context(objects(folder, secret))
        for _ in wait_until("sandbox", 60):
            if "PORT_BASE_URL" in log.read_text():
                break
        env_file = dict(re.findall(r"^([A-Z_]+)=(.*)$", log.read_text(), flags=re.M))
        env_file |= {"USAGE_BACKFILL_HISTORY": "false"}
        services = from_image(compose)
        variables = {name: environment_of(service, env_file, secret) for name, service in services.items()}
        for name, service in services.items():
            words = container.command(service["command"], variables[name])
            process = stack.enter_context(started(name, words, folder / f"{name}.log"))
            for _ in wait_until(name, SECONDS_TO_BE_HEALTHY, process):
                test = container.command(service["healthcheck"]["test"][1:], variables[name])
                if subprocess.run(test, capture_output=True, check=False).returncode == 0:
                    break
            click.echo(f"ok: {name} is healthy: {' '.join(service['command'])}")
        click.echo(container.works("usage-assets", "doctor", **variables["code"]))
        click.echo(f"ok: backfill launched in the UI: {backfill()}")
        click.echo(container.works("usage-assets", "connection", "list", **variables["code"]))
    click.echo("ok: all services end when they are told to")


def backfill() -> str:
    """Let the UI launch a backfill; return how its runs ended. Raises ImageError unless all succeed."""
    with httpx.Client(base_url="http://127.0.0.1:3000", timeout=60, trust_env=False) as client:

        def ask(query: str, **variables: object) -> Any:
            answer = client.post("/graphql", json={"query": query, "variables": variables}).json()
            if "errors" in answer:
                raise ImageError(str(answer["errors"]))
            return answer["data"]

        click.echo(f"ok: the UI has loaded {json.dumps(ask(READY))}")
        selection = [{"path": ["openai", "costs"]}, {"path": ["openai", "costs", "daily_costs"]}]
        params = {"assetSelection": selection, "partitionNames": DAYS, "title": "make image"}
        if "message" in (answer := ask(LAUNCH, params=params)["launchPartitionBackfill"]):
            raise ImageError(answer["message"])
        for _ in wait_until("backfill", SECONDS_TO_FINISH):
            left = ask(LEFT)
            states = {row["status"] for row in left["partitionBackfillsOrError"]["results"]}
            if not states & {"REQUESTED"}:
                break
        runs = Counter(row["status"] for row in left["runsOrError"]["results"])  # sensors launch others
        if states != {"COMPLETED_SUCCESS"} or runs["FAILURE"] or runs["CANCELED"]:
            raise ImageError(f"backfill {states}, runs {runs}")
        return f"{runs['SUCCESS']} runs succeeded"


@click.command()
@click.option("--inside", is_flag=True, hidden=True, help="Namespaces were made.")
def main(inside: bool) -> None:
    if not inside:
        if os.geteuid() or not all(map(shutil.which, ("buildah", "debootstrap"))):
            sys.exit("make image needs root, and Debian with: apt-get install buildah debootstrap")
        build()
        namespaces = ("unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")
        sys.exit(subprocess.call([*namespaces, sys.executable, "-m", "usage_assets_tests.deploy.image", "--inside"]))
    run("ip", "link", "set", "lo", "up")
    with TemporaryDirectory(ignore_cleanup_errors=True) as name, mounted(IMAGE, folder := Path(name)) as container:
        folder.chmod(0o755)
        (folder / "database").mkdir()
        try_program(container)
        try_services(container, folder)


if __name__ == "__main__":
    main()
