"""The way to the API: straight, or through the proxy that the environment names."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from ..network import is_loopback

DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
PROXY_SCHEMES = ("https", "http", "all")


@dataclass(frozen=True)
class Proxy:
    """A proxy and where it is named; `shown` is its address without user name and password."""

    name: str
    shown: str
    host: str
    port: int


class ProxyAddressError(ValueError):
    """What a variable holds is no proxy's address; `name` is the variable."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def proxy_for(api_url: str) -> Proxy | None:
    """The proxy that requests to an address go through, as httpx chooses it.

    Raises:
        ProxyAddressError: the one that is named cannot be one.
    """
    parts = urlsplit(api_url)
    if is_loopback(api_url) or proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies()
    named = next((one for one in (parts.scheme, "all") if proxies.get(one)), None)
    return None if named is None else _proxy(variable_of(named, os.environ), proxies[named])


def named_proxies() -> tuple[str, ...]:
    """The variables that name a proxy."""
    proxies = getproxies()
    return tuple(variable_of(one, os.environ) for one in PROXY_SCHEMES if proxies.get(one))


def variable_of(scheme: str, environ: Mapping[str, str]) -> str:
    """The name of the variable that counts; without one it is a setting of the system."""
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper())
    return next((name for name in names if environ.get(name)), "the system's proxy setting")


def credentials_of(environ: Mapping[str, str]) -> set[str]:
    """The passwords in the proxies of an environment, as written and as meant.

    A user name without a password may be a token, so it counts as one.
    """
    found: set[str] = set()
    for name, value in environ.items():
        if not name.lower().endswith("_proxy") or "@" not in value:
            continue
        user_and_password = value.rpartition("@")[0].rpartition("//")[2]
        user, _, password = user_and_password.partition(":")
        found |= {user_and_password, password or user, unquote(password or user)}
    return found


def _proxy(name: str, address: str) -> Proxy:
    address = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ProxyAddressError(name) from None
    if not host or parts.scheme not in DEFAULT_PORTS:
        raise ProxyAddressError(name)
    port = port or DEFAULT_PORTS[parts.scheme]
    shown_host = f"[{host}]" if ":" in host else host
    return Proxy(name, f"{parts.scheme}://{shown_host}:{port}", host, port)
