"""What endpoints and lookups have in common: a list of a provider, and how it is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from usage_assets.providers.records import JsonBody


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A list of a provider."""

    name: str
    """Last part of the asset key."""
    path: str
    """Below the connection's base URL; the connection fills in parameters by name, such as ``{workspace_id}``."""
    or_path: str | None = None
    """The same of a connection that states other ids: an enterprise instead of an organization."""
    items: str = "data"
    """The field of an answer that holds its items, as it is sent. It may be stated here or in ``page``."""
    params: Mapping[str, str] = field(default_factory=dict)
    """Parameters of every request, such as the size of a page. A page's own parameter is that of the first page: the
    next ones replace it."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """What it wants besides the provider's headers."""
    post: JsonBody | None = None
    """Where the API reads with POST: makes the JSON body of the parameters, as ``(name, text)`` pairs: ``params``, the
    window's, ``queries`` and the page's, which comes last. None, as nearly everywhere: a GET."""
    default_on: bool = True
    """Whether it is fetched unless a connection's ``endpoints`` switch it off, or only where they switch it on."""

    @property
    def method(self) -> str:
        return "POST" if self.post else "GET"


def with_page(params: Sequence[tuple[str, str]], parameter: str, token: str) -> list[tuple[str, str]]:
    """Return the parameters of a next page: its own comes last, and replaces that of the first page."""
    return [*((name, value) for name, value in params if name != parameter), (parameter, token)]
