"""Where a secret may be sent: the one rule for the base URLs of providers and of Port. Opens no connection."""

import ipaddress

import httpx


def checked_url(text: str) -> httpx.URL:
    """Parse a base URL. Raises ValueError with what is wrong in words that follow its name ("the base URL must ...").

    Nothing of the text is repeated except an http:// host: a password may be anywhere in it.
    """
    try:
        url = httpx.URL(text)
        url.raw_host.decode().encode("idna")  # as a socket does, which raises where a part is empty or too long
    except (httpx.InvalidURL, UnicodeError):
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        raise ValueError("must look like https://host/path, without user or password")
    if url.scheme == "http" and not is_loopback(url):
        raise ValueError(f"would show the key to the network: use https://, not http://{url.host}")
    return url


def is_loopback(url: httpx.URL) -> bool:
    """Whether it is this machine: the only place for http://, and one that no proxy can reach."""
    try:
        return ipaddress.ip_address(url.host).is_loopback
    except ValueError:
        return url.host == "localhost"


def account_at(address: httpx.URL, client_id: str) -> str:
    """Return the stable id of a Port account: host (Port's two domains are one service) and client id."""
    return f"{address.netloc.decode().replace('getport.io', 'port.io')}/{client_id}"
