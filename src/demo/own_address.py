"""Requests of other pages are refused: those that came under a foreign name, or from a page of a foreign address."""
import ipaddress
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from flask import request
from werkzeug.exceptions import Forbidden


def names_of(host: str) -> set[str]:
    """The names under which browsers reach a server that was told to serve at `host`."""
    machine = socket.gethostname().lower()
    return {"localhost", host.lower(), machine, f"{machine}.local"}


def refusing_others(names: set[str]) -> Callable[[], None]:
    """What Flask calls before each request.

    A name that is not of `names` may be of someone who lets it lead here, for a page under that name to read what is
    here (DNS rebinding); an address in numbers cannot. And a browser says from which page a request to write comes.
    """
    def refuse_others() -> None:
        host = request.headers.get("Host", "").lower()
        if not _is_own(host, names):
            raise Forbidden(f"Host: found {host[:80]!r}; expected an address in numbers, or one of {sorted(names)}")
        origin = request.headers.get("Origin")
        if origin is not None and _place(origin) != host:
            raise Forbidden(f"Origin: found {origin[:80]!r}; expected a page of {host!r}")
    return refuse_others


def _place(url):
    """The host and port of a URL; empty where it has none."""
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""


def _is_own(host, names):
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name in names or bool(ipaddress.ip_address(name))
    except ValueError:   # neither a URL's host nor an address
        return False
