"""Serves the emulator to the command line: run `python tests/serve.py`, then the commands that it prints."""

from emulator import Acme
from usage_assets_acme.provider import ACME

from usage_assets.testing import trial

if __name__ == "__main__":
    trial(ACME, Acme(), "trial")
