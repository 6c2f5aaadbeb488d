"""Pure rules for the hosts that files may come from and go to.

Layer's responses contain the URLs of files. A wrong or forged response must not make this client
connect to other machines on the network, or send anything but the file.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from ..errors import LayerError
from ..network import LOOPBACK_HOSTS, is_loopback

LAYER_MEDIA_HOST = "media.app.layer.ai"
PORTS = {"https": 443, "http": 80}
# Their last 32 bits are an IPv4 address: IPv4-compatible (RFC 4291), translated (RFC 6052).
IPV4_INSIDE = (IPv6Network("::/96"), IPv6Network("64:ff9b::/96"))
# Private too, though not every Python knows: site-local (RFC 3879), local translation (RFC 8215).
PRIVATE = (IPv6Network("fec0::/10"), IPv6Network("64:ff9b:1::/48"))
# Not registered as private, but used inside cloud networks.
SPECIAL = (IPv4Network("192.0.0.0/24"), IPv4Network("168.63.129.16/32"))
MAX_SHOWN_HOST = 80
LAYERS_ADDRESS = "Call again later; if it keeps failing, contact Layer support."


@dataclass(frozen=True)
class HostRules:
    """The allowed hosts of outputs, and whether this machine is one of them.

    `loopback` is for an API on this machine, such as the sandbox. Only then may files come from
    this machine, and over plain HTTP.
    """

    media_hosts: frozenset[str]
    loopback: bool


def host_rules(api_url: str, more_hosts: Iterable[str] = ()) -> HostRules:
    """Return the rules for an API's URL and the configured hosts."""
    loopback = is_loopback(api_url)
    own = {LAYER_MEDIA_HOST, (urlsplit(api_url).hostname or "").lower()}
    return HostRules(
        media_hosts=frozenset(
            own.union((host.lower() for host in more_hosts), LOOPBACK_HOSTS if loopback else ())
        ),
        loopback=loopback,
    )


def parse_media_url(url: str, rules: HostRules) -> SplitResult:
    """Return the parts of an output's URL.

    Raises:
        LayerError: HOST_NOT_ALLOWED for a URL that outputs must not come from.
    """
    parts = parse_storage_url(url, rules)
    host = (parts.hostname or "").lower()
    if host not in rules.media_hosts:
        sentence = f"The file is on {host[:MAX_SHOWN_HOST]}, which is not one of Layer's hosts."
        step = None if _could_be_allowed(host, rules) else LAYERS_ADDRESS
        raise LayerError("HOST_NOT_ALLOWED", sentence, next_step=step)
    return parts


def parse_storage_url(url: str, rules: HostRules) -> SplitResult:
    """Return the parts of a URL to upload to; any host is allowed, because Layer signs the URL.

    Raises:
        LayerError: HOST_NOT_ALLOWED for a URL that isn't https or has a user name.
    """
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise _refused("The file's URL is invalid") from None
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise _refused("The file's URL is invalid")
    if not host or parts.username is not None or parts.password is not None:
        raise _refused("The file's URL has no host, or has a user name")
    local = rules.loopback and host.lower() in LOOPBACK_HOSTS
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise _refused("The file's URL isn't https")
    return parts


def may_connect(address: str, rules: HostRules) -> bool:
    """Return whether a numeric address is allowed: a public one, or this machine's."""
    ip = ip_address(address.partition("%")[0])
    if ip.is_loopback:
        return rules.loopback
    if any(ip in network for network in PRIVATE):
        return False
    return all(_is_public(part) for part in (ip, *_embedded(ip)))


def _could_be_allowed(host: str, rules: HostRules) -> bool:
    """Return whether a setting could allow a host; a private address is never allowed."""
    try:
        return may_connect(host, rules)
    except ValueError:
        return host not in LOOPBACK_HOSTS


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    special = isinstance(ip, IPv4Address) and any(ip in network for network in SPECIAL)
    return ip.is_global and not ip.is_multicast and not special


def _embedded(ip: IPv4Address | IPv6Address) -> tuple[IPv4Address, ...]:
    """Return the IPv4 addresses embedded in an IPv6 address."""
    if isinstance(ip, IPv4Address):
        return ()
    inside = any(ip in network for network in IPV4_INSIDE)
    last = IPv4Address(int(ip) & 0xFFFFFFFF) if inside else None
    teredo = ip.teredo[1] if ip.teredo else None
    found = (ip.ipv4_mapped, ip.sixtofour, last, teredo)
    return tuple(part for part in found if part is not None)


def _refused(why: str) -> LayerError:
    return LayerError(
        "HOST_NOT_ALLOWED", f"{why}. Nothing was sent to it.", next_step=LAYERS_ADDRESS
    )
