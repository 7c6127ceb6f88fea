"""Ctrl-C and SIGTERM: whatever a command is at, it ends within two seconds and says so in one line.

An exception that a signal raises is not enough. DuckDB and C extensions that are being imported turn it into others,
libraries log it with its stack, and Python waits for threads that wait for an answer.
"""

import atexit
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

SAID = "usage-assets: interrupted; what is stored stays, the days under way are as they were"
INTERRUPTS = (signal.SIGINT, signal.SIGTERM)
INTERRUPTED = 130
"""The exit code, as a shell has it."""
SECONDS_TO_END = 1.5
"""What is left after that is killed, as by ``kill -9``: whatever is stored is stored in whole transactions."""
SHOW_CURSOR = "\x1b[?25h"
"""A progress bar has hidden it."""


class Interrupts:
    """Whether one of INTERRUPTS has come, whoever has caught what it raised."""

    came = False
    is_said = False

    def watch(self, reader: int) -> None:
        """Wait for the first one, and end the process if it has not ended by itself in time."""
        with open(reader, "rb", buffering=0) as signals:
            while number := signals.read(1):
                if number[0] in INTERRUPTS:
                    self.came = True
                    _quieten()
                    threading.Event().wait(SECONDS_TO_END)
                    _say()
                    os._exit(INTERRUPTED)


CTRL_C = Interrupts()
"""That of this process."""


@contextmanager
def noticed() -> Iterator[None]:
    """Notice INTERRUPTS while the block runs; after one, until the process has ended. What is ignored stays so: Ctrl-C
    below a shell's `&`."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = {each: now for each in INTERRUPTS if (now := signal.getsignal(each)) is not signal.SIG_IGN}
    for each in before:
        signal.signal(each, _raise_quietly)
    signal.set_wakeup_fd(writer)
    threading.Thread(target=CTRL_C.watch, args=(reader,), name="interrupts", daemon=True).start()
    try:
        yield
    finally:
        if not CTRL_C.came:
            signal.set_wakeup_fd(-1)
            for each, handler in before.items():
                signal.signal(each, handler)
            os.close(writer)


def end() -> NoReturn:
    """Say that it was interrupted, and end with 130."""
    _say()
    if CTRL_C.came:  # the interpreter's own end takes up to two seconds, and nothing can watch it
        with suppress(OSError):
            sys.stdout.flush()
        atexit._run_exitfuncs()  # noqa: SLF001 - removes temporary folders
        os._exit(INTERRUPTED)
    sys.exit(INTERRUPTED)


def _say() -> None:
    if not CTRL_C.is_said:
        CTRL_C.is_said = CTRL_C.came
        show_cursor = SHOW_CURSOR if os.isatty(2) else ""
        os.write(2, f"{show_cursor}\n{SAID}\n".encode())  # no lock that the main thread may hold


def _raise_quietly(_number: int, _frame: FrameType | None) -> NoReturn:
    """Raise KeyboardInterrupt."""
    CTRL_C.came = True  # the watcher's thread may not have had its turn before ``end`` asks
    for each in INTERRUPTS:
        signal.signal(each, signal.SIG_IGN)  # one is enough
    _quieten()
    raise KeyboardInterrupt


def _quieten() -> None:
    """Let nothing that is disturbed print a stack. Also the watcher calls it: Dagster may have caught the signal."""
    logging.disable()
    sys.unraisablehook = lambda _: None
    threading.excepthook = lambda _: None
