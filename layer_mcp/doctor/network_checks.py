"""The way to the API, and what answers there."""

from pathlib import Path
from urllib.parse import urlsplit

from ..api.problems import SENTENCES
from ..errors import LayerError
from ..network import tls_context
from .check import Check, Subject
from .reach import connecting_problem
from .route import ProxyAddressError, named_proxies
from .setup import Setup

PROXY = Subject("proxy", "Proxy")
CERTIFICATES = Subject("certificates", "Certificates")
API = Subject("api", "Layer's API")
CLOCK = Subject("clock", "Clock")

SLOW_SECONDS = 2.0
# Journals of several machines and the limit a day are kept by the clock.
CLOCK_SECONDS = 120
PORTS = {"http": 80, "https": 443}
OWN_CODES = (
    "CONNECTION_FAILED",
    "CONNECTION_LOST",
    "TLS_FAILED",
    "UNEXPECTED_REDIRECT",
    "UNEXPECTED_RESPONSE",
)


def proxy(setup: Setup) -> Check:
    """Which proxy requests to the API go through, and whether it answers."""
    try:
        chosen = setup.proxy
    except ProxyAddressError as error:
        return PROXY.failed(
            f"{error.name} is no address of a proxy",
            f"Set {error.name} to an address such as http://proxy.example:3128, or remove it.",
        )
    if chosen is None:
        unused = ", ".join(named_proxies())
        return PROXY.ok(f"none is used for the API, though {unused} is set" if unused else "none")
    problem = connecting_problem(chosen.host, chosen.port)
    if problem is None:
        return PROXY.ok(f"{chosen.shown}, from {chosen.name}")
    return PROXY.failed(
        f"{chosen.shown}, from {chosen.name}: {problem}",
        f"Correct {chosen.name}, or name the API's host in NO_PROXY if no proxy is needed.",
    )


def certificates(setup: Setup) -> Check:
    """Which authorities are trusted, and whether the named ones can be read."""
    file, folder = setup.environ.get("SSL_CERT_FILE"), setup.environ.get("SSL_CERT_DIR")
    named = [
        f"{name} {value}"
        for name, value in (("SSL_CERT_FILE", file), ("SSL_CERT_DIR", folder))
        if value
    ]
    problem = _certificates_problem()
    if problem is not None:
        fact, fix = f"{' and '.join(named)}: {problem}", f"Correct or remove {_variables(named)}."
        if setup.settings.api_url.startswith("https"):
            return CERTIFICATES.failed(fact, fix)
        return CERTIFICATES.warning(fact, fix)
    # OpenSSL takes a folder that is not there for an empty one.
    if folder and not Path(folder).is_dir():
        return CERTIFICATES.warning(
            f"SSL_CERT_DIR {folder}: no such folder", "Correct or remove SSL_CERT_DIR."
        )
    return CERTIFICATES.ok(" and ".join(["the system's trust store", *named]))


def api(setup: Setup) -> Check:
    """Whether Layer answers at the API's address."""
    url = setup.settings.api_url
    if setup.proxy is None:
        parts = urlsplit(url)
        problem = connecting_problem(parts.hostname or "", parts.port or PORTS[parts.scheme])
        if problem is not None:
            fix = "Check the network and LAYER_API_URL. Some networks need HTTPS_PROXY."
            return API.failed(f"{url}: {problem}", fix)
    found = setup.probe
    if found.problem is not None:
        return API.failed(f"{url}: {in_own_words(found.problem)}", _api_fix(found.problem))
    answered = f"{url} answers in {found.seconds * 1000:.0f} ms"
    if found.seconds > SLOW_SECONDS:
        return API.warning(answered, "Calls may run out of time. Check the network and the proxy.")
    return API.ok(answered)


def clock(setup: Setup) -> Check:
    """Whether this machine's clock agrees with the API's Date header."""
    offset = setup.probe.clock_offset_seconds
    if offset is None:
        return CLOCK.skipped("the API did not say what time it is")
    if abs(offset) <= CLOCK_SECONDS:
        return CLOCK.ok("agrees with the API's")
    return CLOCK.warning(
        f"{_long(abs(offset))} {'before' if offset > 0 else 'behind'} the API's",
        "Set this machine's clock, best by a time server: limits a day are kept by it.",
    )


def in_own_words(error: LayerError) -> str:
    """The sentence of an error without anything that an answer said: it may repeat the token."""
    if error.code in OWN_CODES:
        return error.message
    return SENTENCES.get(error.code, f"it answered {error.code}.")


def _api_fix(error: LayerError) -> str:
    fixes = {
        "TLS_FAILED": f"{error.next_step} Check this machine's clock too.",
        "NOT_FOUND": "Correct LAYER_API_URL, or remove it for the usual address.",
        "UNEXPECTED_RESPONSE": "Correct LAYER_API_URL. A network with a sign-in page answers for "
        "Layer until you have signed in.",
        "TIMEOUT": "Try again in a minute; check the network and the proxy.",
        "CONNECTION_FAILED": "Check the network, and that the proxy lets layer-mcp through; it may "
        "want a user name and password.",
    }
    return fixes.get(error.code, error.next_step).replace(", then call again", "")


def _certificates_problem() -> str | None:
    try:
        tls_context()
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        return error.strerror or type(error).__name__
    except OSError:
        return "no certificate can be read from it"
    return None


def _variables(named: list[str]) -> str:
    return " and ".join(one.partition(" ")[0] for one in named)


def _long(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 48 * 60 else f"{minutes // 1440} days"
