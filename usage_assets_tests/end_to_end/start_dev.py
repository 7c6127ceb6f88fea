"""`make wheel` runs this in an empty folder: the installed `usage-assets dev` starts, serves the graph and ends."""

import subprocess
import sys
from pathlib import Path

COMMAND = (str(Path(sys.executable).with_name("usage-assets")), "dev", "--port", "3900")

if __name__ == "__main__":
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True) as started:
        said = next((line for line in started.stdout or () if line.startswith("Dagster: http")), "")
        started.terminate()
        started.communicate()
    print(said or f"usage-assets dev ended with {started.returncode}", end="")
    sys.exit(0 if said and Path("dagster.yaml").is_file() else 1)
