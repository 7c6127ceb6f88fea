"""`make wheel` runs this where nothing but the sandbox's wheel is installed: it serves every provider, and ends."""

import json
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

COMMAND = (str(Path(sys.executable).with_name("usage-assets-sandbox")), "--port", "0")

if __name__ == "__main__":
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True) as started:
        said = started.stdout.readline() if started.stdout else ""
        with urlopen(f"{said.split()[-1]}/control/health", timeout=60) as answer:
            health = json.load(answer)
        started.terminate()
        started.communicate()
    print(said, end="")
    sys.exit(0 if health["ok"] else 1)
