"""`make wheel` runs this in an empty folder: the installed `usage-assets dev` starts, serves the graph and ends, and no
emulator is installed with it."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

COMMAND = (str(Path(sys.executable).with_name("usage-assets")), "dev", "--port", "3900")
EMULATORS = ("usage_assets_sandbox", "usage_assets.sandbox", "usage_assets.demo", "demo")

if __name__ == "__main__":
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True) as started:
        said = next((line for line in started.stdout or () if line.startswith("Dagster: http")), "")
        started.terminate()
        started.communicate()
    print(said or f"usage-assets dev ended with {started.returncode}", end="")
    emulators = [name for name in EMULATORS if find_spec(name)]
    print(*(f"the wheel has {name}\n" for name in emulators), sep="", end="")
    sys.exit(0 if said and Path("dagster.yaml").is_file() and not emulators else 1)
