"""What the sandbox is while it runs, and what it emulates of a provider."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from starlette.routing import Mount

from usage_assets_sandbox.books import Books
from usage_assets_sandbox.directory import Directory
from usage_assets_sandbox.faults import Connections, Fault
from usage_assets_sandbox.ledger import Ledger
from usage_assets_sandbox.port import PortStore
from usage_assets_sandbox.shapes import Shapes


@dataclass
class Sandbox:
    """Everything that changes while the sandbox runs."""

    ledger: Ledger
    port: PortStore
    directory: Directory
    faults: list[Fault] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    connections: Connections = field(default_factory=Connections)
    shapes: Shapes = field(default_factory=Shapes)

    def reset(self, seed: int, now: datetime | None) -> None:
        """A fresh start."""
        self.ledger.clock.frozen = now
        self.ledger.reset(seed)
        self.directory.reset(seed)
        self.port.reset()
        self.faults.clear()
        self.requests.clear()
        vars(self.shapes).update(vars(Shapes()))


@dataclass(frozen=True)
class Emulated:
    """A provider that the sandbox answers for."""

    books: Books
    routes: Callable[[Sandbox], Sequence[Mount]] = lambda _: ()
    """Where its answers are served; a longer path is asked first."""
    key: str = ""
    path: str = ""
    """The path of its base URL."""
    ids: Mapping[str, str] = field(default_factory=dict)
    """The ids in its paths."""
