"""What `make demo UI=0` takes in a clean clone of the last commit: installing, bytecode included, and its disk.

The same command is run again in the same clone, when everything is installed and compiled: the difference is what
installing takes. Once with uv, and once where uv cannot reach a registry, so that pip installs.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.commands import ROOT, run
from benchmarks.figures import Figure
from usage_assets.cli.processes import free_port

DAYS = 90
UNREACHABLE = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9"}
INSTALLERS: Sequence[tuple[str, Mapping[str, str], float]] = (("uv", {}, 40), ("pip", UNREACHABLE, 110))
"""Who installs, the settings that make it so, and the CPU seconds that are allowed."""
ALLOWED_MB, ALLOWED_SECONDS, ALLOWED_CPU_SECONDS = 1050, 180, 90
PORT = 3400


def figures(days: int) -> Iterator[Figure]:
    """CPU time of installing with each; of uv, disk and wall time of the demo, too."""
    days = min(days, DAYS)
    for installer, settings, allowed in INSTALLERS:
        with TemporaryDirectory() as folder:
            clone = Path(folder) / "clone"
            git = shutil.which("git") or "git"
            subprocess.run([git, "clone", "--quiet", "--no-hardlinks", ROOT, clone], check=True)  # noqa: S603
            command = ["make", "demo", "UI=0", f"DAYS={days}", f"PORT={free_port(PORT)}"]
            environment = {**registry(), **settings}
            first = run(command, clone, environment)
            size = sum(file.lstat().st_size for file in clone.rglob("*")) / 1e6
            again = run(command, clone, environment)
        failed = "; uv failed, so pip installed" if installer == "uv" and "because uv failed" in first.output else ""
        yield Figure(
            name=f"install for the demo with {installer}",
            ours=first.cpu - again.cpu,
            theirs=allowed,
            unit="s",
            demanded=1,
            is_at_factor_1=True,
            note=f"CPU time, bytecode included; {first.wall - again.wall:.0f} s{failed}; theirs: what is allowed",
        )
        if installer == "uv":
            note = f"{days} days; theirs: what is allowed"
            yield Figure(name="disk after the demo", ours=size, theirs=ALLOWED_MB, unit="MB", demanded=1, note=note)
            for name, took, most in (
                ("clone to the demo's end", first.wall, ALLOWED_SECONDS),
                ("the demo, CPU", again.cpu, ALLOWED_CPU_SECONDS),
            ):
                yield Figure(name=name, ours=took, theirs=most, unit="s", demanded=1, is_at_factor_1=True, note=note)


def registry() -> Mapping[str, str]:
    """What this environment says of where packages come from, and how that is reached and trusted."""
    own = ("PIP_", "UV_", "SSL_CERT_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
    return {name: value for name, value in os.environ.items() if name.upper().startswith(own)}
