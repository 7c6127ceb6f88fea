"""What an import loads."""

import subprocess
import sys


def loaded_by(modules: str, then: str = "pass") -> set[str]:
    """The modules that importing these loads in a fresh interpreter."""
    code = f"import sys, {modules}; {then}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
