"""Clocks that tests set."""

from threading import Event


class LongUntilTheEnd(Event):
    """A clock on which every block takes so long that there is one tick, at its end."""

    pauses: list[float | None] = []
    has_ticked = False

    def wait(self, timeout: float | None = None) -> bool:
        """Let it tick, and then end."""
        super().wait()
        self.pauses.append(timeout)
        had_ticked, self.has_ticked = self.has_ticked, True
        return had_ticked
