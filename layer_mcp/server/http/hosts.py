"""The hosts and origins that requests can name, so that no page of another site can call.

A page can't choose the Host header of its requests: a browser fills in the name from the address.
If an attacker's name leads to this server (DNS rebinding), the header still has the attacker's
name.
"""

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from ...network import DEFAULT_PORTS, LOOPBACK_HOSTS, is_loopback
from .settings import HttpSettings

AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([1-9][0-9]{0,4}))?", re.IGNORECASE)


@dataclass(frozen=True)
class Authority:
    """A host in lower case, or an IP address in its shortest form, and a port if one is given."""

    host: str
    port: int | None

    @property
    def is_address(self) -> bool:
        """Return whether the host is an IP address instead of a name."""
        return _shortest_address(self.host) is not None


@dataclass(frozen=True)
class AllowedHosts:
    """The hosts that a request can name.

    `public` is the scheme, host and port of `public_url`. `is_local` allows the names of this
    machine with any port. `allows_addresses` allows every IP address, because no attacker can make
    a browser send one of them for another name. `names` are further hosts, with any port.
    """

    public_url: str | None = None
    public: tuple[str, Authority] | None = None
    is_local: bool = False
    allows_addresses: bool = False
    names: Collection[str] = ()

    def allow_host(self, value: bytes) -> bool:
        """Return whether a Host header names this server."""
        authority = parse_authority(value)
        if authority is None:
            return False
        if self.public is not None and _with_port(authority, self.public[0]) == self.public[1]:
            return True
        if self.is_local and authority.host in LOOPBACK_HOSTS:
            return True
        if authority.host in self.names:
            return True
        return self.allows_addresses and (authority.is_address or authority.host in LOOPBACK_HOSTS)

    def allow_origin(self, value: bytes, host: bytes) -> bool:
        """Return whether an Origin header names a page of this server, or of this machine if local.

        `host` is the request's Host header, which is already allowed.
        """
        scheme, separator, rest = value.lower().partition(b"://")
        authority = parse_authority(rest)
        if not separator or authority is None or scheme not in (b"http", b"https"):
            return False
        name = scheme.decode()
        origin = (name, _with_port(authority, name))
        if self.public is not None and origin == self.public:
            return True
        if self.is_local:
            return scheme == b"http" and authority.host in LOOPBACK_HOSTS
        # An address is also allowed as the host of an attacker's page, so compare the two.
        called = parse_authority(host)
        is_same_origin = called is not None and origin == ("http", _with_port(called, "http"))
        return self.public is None and is_same_origin


def allowed_hosts(http: HttpSettings) -> AllowedHosts:
    """Return the hosts that requests to a server with these settings can name."""
    if http.public_url is not None:
        parts = urlsplit(http.public_url)
        authority = parse_authority(parts.netloc.encode())
        if authority is None:
            return AllowedHosts()
        public = (parts.scheme, _with_port(authority, parts.scheme))
        return AllowedHosts(http.public_url, public, is_local=is_loopback(http.public_url))
    if http.host in LOOPBACK_HOSTS:
        return AllowedHosts(is_local=True)
    return AllowedHosts(allows_addresses=True, names=(http.host.lower(),))


def host_of(http: HttpSettings, port: int) -> str:
    """Return the Host header of a request to the public URL, or to the address that is listened on.

    `port` is the one that is listened on.
    """
    if http.public_url is not None:
        return urlsplit(http.public_url).netloc
    host = f"[{http.host}]" if ":" in http.host else http.host
    return f"{host}:{port}"


def parse_authority(value: bytes) -> Authority | None:
    """Return the host and port in a header, or None if it's anything else."""
    match = AUTHORITY.fullmatch(value.decode("latin-1"))
    if match is None:
        return None
    host, port = match[1].lower(), match[2]
    if port is not None and int(port) > 65535:
        return None
    if host.startswith("["):
        address = _shortest_address(host[1:-1])
        if address is None:
            return None
        host = address
    return Authority(host, None if port is None else int(port))


def _with_port(authority: Authority, scheme: str) -> Authority:
    return Authority(authority.host, authority.port or DEFAULT_PORTS[scheme])


def _shortest_address(host: str) -> str | None:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None
