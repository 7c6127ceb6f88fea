"""The command `usage-assets`. It imports nothing before Ctrl-C ends it silently: a stack would be all that it says."""

import signal
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # below a shell's `&` it is ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from usage_assets.cli.main import main  # noqa: PLC0415 - which takes a fifth of a second

    main()
