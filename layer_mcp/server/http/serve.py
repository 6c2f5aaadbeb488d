"""Serve Streamable HTTP until a signal ends it."""

import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from socket import socket
from typing import TYPE_CHECKING

import anyio
import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from ...api.host_rules import host_rules
from ...errors import LayerError
from ...network import listen
from ...runs.activity import Submissions
from ...runs.service import Runs
from ...settings import SettingsError
from ..app import LayerServer
from ..callers.caller import Caller
from .access_log import AccessLog
from .auth.setup import open_authentication
from .caller_headers import read_caller_headers
from .connections import BoundedProtocol
from .drain import Drain, DrainingServer, close_while_draining
from .exchange import OnExchange, observe
from .guard import guard
from .hosts import allowed_hosts, host_of
from .limits import MAX_BODY_BYTES, MAX_HEADER_BYTES, CallLimit
from .probes import Readiness, answer_probes
from .settings import HTTP_PATH, METRICS_PATH, HttpSettings
from .uploads import UploadReceiver, receive_uploads

if TYPE_CHECKING:
    from .metrics import Metrics

# Longer than proxies keep idle connections, or they would send requests on closed ones.
KEEP_ALIVE_SECONDS = 75
LOCAL_KEEP_ALIVE_SECONDS = 5
# How long calls may take to answer once their waits have ended.
LAST_CALLS_SECONDS = 10
LOCAL_LAST_CALLS_SECONDS = 1


def serve_http(
    server: LayerServer, http: HttpSettings, port: int, submissions: Submissions | None = None
) -> int | None:
    """Serve stateless Streamable HTTP until a signal ends it; print the URLs to stderr first.

    Returns the signal's number. The process stops once every one of the `submissions` is answered.

    Raises:
        SettingsError: The metrics aren't installed, or the tokens file is invalid.
        OSError: A port is in use, or this machine has no such address.
    """
    submissions = submissions or Submissions()
    with ExitStack() as stack:
        listeners = [stack.enter_context(listen(http.host, port))]
        if http.metrics_port is not None:
            listeners.append(stack.enter_context(listen(http.host, http.metrics_port)))
        drain = Drain()
        app = build_app(server, http, listeners, drain, submissions)
        _print_urls(http, listeners)
        logging.getLogger("mcp.server.streamable_http").addFilter(_is_worth_logging)
        # A server for one user has no load balancer, and should end quickly.
        drain_seconds = http.drain_seconds if http.is_for_a_team else 0
        running = DrainingServer(_config(app, http), server, drain, submissions, drain_seconds)
        # Under uvicorn's own loop, anyio would find out which library runs in each of its calls.
        loop = {"loop_factory": running.config.get_loop_factory()}
        anyio.run(running.serve, listeners, backend_options=loop)
        return running.received.number


def build_app(
    server: LayerServer,
    http: HttpSettings,
    listeners: Sequence[socket],
    drain: Drain,
    submissions: Submissions,
) -> ASGIApp:
    """Return the application of a server; each step wraps the one before it.

    Raises:
        SettingsError: The metrics aren't installed, or the tokens file is invalid.
    """
    port, *metrics_ports = [listener.getsockname()[1] for listener in listeners]
    on_begin: list[OnExchange] = []
    on_end: list[OnExchange] = []
    if http.writes_access_log:
        on_end.append(AccessLog(trusts_proxy=http.trust_proxy).record)

    app = _mcp_app(server)
    app = CallLimit(app, http.calls_per_caller)
    app = read_caller_headers(app, http)
    authentication = open_authentication(http, http.public_url or _local_url(http, port))
    app = authentication.protect(app, server.spending_tools)
    app = add_routes(app, authentication.routes())
    app = _with_uploads(app, server, http)
    app = guarded = guard(app, allowed_hosts(http))
    readiness = Readiness(partial(_count_queued, server), guarded, host_of(http, port), drain)
    app = answer_probes(app, readiness)
    if metrics_ports:
        serve_metrics, metrics = _import_metrics(submissions, readiness)
        app = serve_metrics(app, metrics, metrics_ports[0])
        on_begin.append(metrics.begin)
        on_end.append(metrics.end)
    app = close_while_draining(app, drain)
    return observe(app, on_begin, on_end)


def _mcp_app(server: LayerServer) -> ASGIApp:
    app = server.streamable_http_app(
        streamable_http_path=HTTP_PATH,
        stateless_http=True,
        max_request_body_size=MAX_BODY_BYTES,
        # Its check accepts any text after the colon of a port.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    # A redirect would have the scheme and host that the proxy uses.
    app.router.redirect_slashes = False
    return app


def _with_uploads(app: ASGIApp, server: LayerServer, http: HttpSettings) -> ASGIApp:
    if server.upload_links is None:
        return app
    settings = server.layer_settings
    rules = host_rules(settings.api_url, settings.media_hosts)
    # A caller's own account can't be opened without its Layer key.
    open_runs = partial(_open_runs, server) if http.payer == "server" else None
    return receive_uploads(app, UploadReceiver(server.upload_links, rules, open_runs))


async def _open_runs(server: LayerServer, caller_name: str) -> Runs:
    if server.accounts is None:
        raise LayerError("TOO_BUSY", "The server is starting.")
    async with server.accounts.open(Caller(caller_name)) as app:
        return app.runs


def add_routes(app: ASGIApp, routes: Sequence[BaseRoute]) -> ASGIApp:
    """Return an application that serves some routes, and leaves everything else to another one."""
    router = Router(routes, redirect_slashes=False, default=app)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        # The other application has a lifespan of its own.
        await (router if scope["type"] == "http" else app)(scope, receive, send)

    return serve


async def _count_queued(server: LayerServer) -> int:
    if server.accounts is None:
        raise RuntimeError("The server hasn't started yet.")
    return await server.accounts.count_queued()


def _import_metrics(
    submissions: Submissions, readiness: Readiness
) -> "tuple[Callable[[ASGIApp, Metrics, int], ASGIApp], Metrics]":
    try:
        from .metrics import Metrics, serve_metrics  # noqa: PLC0415
    except ModuleNotFoundError:
        raise SettingsError(
            "Metrics need another package: install layer-mcp[metrics], or leave out --metrics-port."
        ) from None
    return serve_metrics, Metrics(submissions, readiness)


def _config(app: ASGIApp, http: HttpSettings) -> uvicorn.Config:
    is_local = not http.is_for_a_team
    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        # It would believe the headers of everybody on this machine.
        proxy_headers=False,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        timeout_keep_alive=LOCAL_KEEP_ALIVE_SECONDS if is_local else KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=LOCAL_LAST_CALLS_SECONDS if is_local else LAST_CALLS_SECONDS,
    )


def _print_urls(http: HttpSettings, listeners: Sequence[socket]) -> None:
    """Print where the server listens, the public URL, and where the metrics are."""
    port, *metrics_ports = [listener.getsockname()[1] for listener in listeners]
    urls = [f"{_local_url(http, port)}{HTTP_PATH}"]
    if http.public_url is not None:
        urls.append(f"{http.public_url}{HTTP_PATH}")
    urls += [f"{_local_url(http, other)}{METRICS_PATH}" for other in metrics_ports]
    print("\n".join(urls), file=sys.stderr, flush=True)


def _local_url(http: HttpSettings, port: int) -> str:
    host = f"[{http.host}]" if ":" in http.host else http.host
    return f"http://{host}:{port}"


def _is_worth_logging(record: logging.LogRecord) -> bool:
    # The SDK logs a 1 KB traceback for each client that disconnects in the middle of a request.
    return record.exc_info is None or not isinstance(record.exc_info[1], ClientDisconnect)
