"""How requests are authenticated. A provider that signs its requests, or trades its key for a token, brings its own
``httpx.Auth``."""

from collections.abc import Generator

import httpx


class HeaderAuth(httpx.Auth):
    """Sends the key in a header of every request."""

    def __init__(self, header: str, value: str) -> None:
        self._header, self._value = header, value

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers[self._header] = self._value
        yield request


def bearer(key: str) -> httpx.Auth:
    """Send the key as ``Authorization: Bearer``."""
    return HeaderAuth("Authorization", f"Bearer {key}")
