"""Checks of the proxy, the certificates, the API, and the clock."""

from pathlib import Path
from urllib.parse import urlsplit

from ..errors import LayerError
from ..network import (
    CERTIFICATE_VARIABLES,
    DEFAULT_PORTS,
    CertificatesError,
    InvalidProxyError,
    Proxy,
    find_proxy,
    list_proxy_variables,
    tls_context,
)
from .connection import Ping, find_connection_problem, ping_api, safe_message
from .types import Finding, Setup, fail, ok, skip, warn

SLOW_SECONDS = 2.0
# Daily limits and the order of runs from several machines depend on the clock.
MAX_CLOCK_OFFSET_SECONDS = 120


def check_proxy(setup: Setup) -> Finding:
    """Check that the proxy for the API, if there is one, accepts connections."""
    try:
        proxy = setup.get(_find_proxy)
    except InvalidProxyError as error:
        return fail(
            f"{error.variable} {error.problem}",
            f"Set {error.variable} to a URL such as http://proxy.example:3128, or remove it.",
        )
    if proxy is None:
        unused = ", ".join(list_proxy_variables())
        return ok(f"not used for the API, although {unused} is set" if unused else "none")
    problem = find_connection_problem(proxy.host, proxy.port)
    if problem is None:
        return ok(f"{proxy.shown_url}, from {proxy.variable}")
    return fail(
        f"{proxy.shown_url}, from {proxy.variable}: {problem}",
        f"Fix {proxy.variable}, or add the API's host to NO_PROXY if it needs no proxy.",
    )


def check_certificates(setup: Setup) -> Finding:
    """Check that the certificate authorities in the environment can be loaded."""
    try:
        tls_context()
    except CertificatesError as error:
        fact = f"{error.variable} {setup.environ.get(error.variable)}: {error.reason}"
        fix = f"Fix or remove {error.variable}."
        is_needed = setup.settings.api_url.startswith("https")
        return fail(fact, fix) if is_needed else warn(fact, fix)
    folder = setup.environ.get("SSL_CERT_DIR")
    # OpenSSL ignores a folder that doesn't exist.
    if folder and not Path(folder).is_dir():
        return warn(f"SSL_CERT_DIR {folder}: no such folder", "Fix or remove SSL_CERT_DIR.")
    names = [name for name in CERTIFICATE_VARIABLES if setup.environ.get(name)]
    named = [f"{name} {setup.environ[name]}" for name in names]
    return ok(" and ".join(["the system's trust store", *named]))


def check_api(setup: Setup) -> Finding:
    """Check that Layer answers at the API's URL, and how fast."""
    url = setup.settings.api_url
    if setup.get(_find_proxy) is None:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS[parts.scheme]
        problem = find_connection_problem(parts.hostname or "", port)
        if problem is not None:
            fix = "Check the network and LAYER_API_URL. Some networks need HTTPS_PROXY."
            return fail(f"{url}: {problem}", fix)
    ping = setup.get(_ping)
    if ping.problem is not None:
        return fail(f"{url}: {safe_message(ping.problem)}", _api_fix(ping.problem))
    fact = f"{url} responds in {ping.seconds * 1000:.0f} ms"
    if ping.seconds > SLOW_SECONDS:
        return warn(fact, "Calls may time out. Check the network and the proxy.")
    return ok(fact)


def check_clock(setup: Setup) -> Finding:
    """Compare this machine's clock with the API's Date header."""
    offset = setup.get(_ping).clock_offset_seconds
    if offset is None:
        return skip("the API didn't send the time")
    if abs(offset) <= MAX_CLOCK_OFFSET_SECONDS:
        return ok("agrees with the API's")
    return warn(
        f"{_format_duration(abs(offset))} {'ahead of' if offset > 0 else 'behind'} the API's",
        "Set this machine's clock, ideally from a time server. Daily limits depend on it.",
    )


def _find_proxy(setup: Setup) -> Proxy | None:
    return find_proxy(setup.settings.api_url)


def _ping(setup: Setup) -> Ping:
    return ping_api(setup.settings.api_url)


def _api_fix(error: LayerError) -> str:
    fixes = {
        "TLS_FAILED": f"{error.next_step} Check this machine's clock too.",
        "NOT_FOUND": "Fix LAYER_API_URL, or remove it to use the default.",
        "UNEXPECTED_RESPONSE": "Fix LAYER_API_URL. A network with a sign-in page responds for "
        "Layer until you have signed in.",
        "TIMEOUT": "Try again in a minute; check the network and the proxy.",
        "CONNECTION_FAILED": "Check the network, and that the proxy lets layer-mcp through; it may "
        "need a user name and password.",
    }
    return fixes.get(error.code, error.next_step).replace(", then call again", "")


def _format_duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 48 * 60 else f"{minutes // 1440} days"
