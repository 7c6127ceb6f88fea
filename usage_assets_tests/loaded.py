"""What an import loads."""

import os
import subprocess
import sys
from pathlib import Path

from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.published import publish


def loaded_by(modules: str, then: str = "pass") -> set[str]:
    """The modules that importing these loads in a fresh interpreter."""
    code = f"import sys, {modules}; {then}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def published_in(folder: Path) -> None:
    """Publish an empty warehouse."""
    database = Warehouse(database=str(folder / "usage.duckdb"))
    with database.transaction():
        pass
    publish(database)


def loaded_by_command(folder: Path, *arguments: str) -> set[str]:
    """The modules that a command has loaded when it has ended well, in a folder with a warehouse."""
    code = "import atexit, sys; from usage_assets.cli.main import main; "
    code += "atexit.register(lambda: print(*sys.modules, file=sys.stderr)); main(sys.argv[1:])"
    environment = os.environ | {"USAGE_WAREHOUSE": str(folder / "usage.duckdb")}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder, env=environment)
    return set(done.stderr.split())
