"""Metrics for Prometheus, on a port of their own (needs the extra `metrics`).

They have no names of callers and no IDs, and clients can't add values. They need no token, so they
aren't served where callers connect: behind a proxy, every request comes from a local address, so an
address would not keep strangers out.
"""

import math
from collections.abc import Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ...runs.activity import Submissions
from .exchange import PROBE_PATHS, Exchange
from .probes import Readiness
from .settings import METRICS_PATH

# Waiting calls answer within 45 seconds.
BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 45, 60)
LABELS = ("method", "tool", "era", "outcome")


class Metrics:
    """The metrics of this process."""

    def __init__(self, submissions: Submissions, readiness: Readiness) -> None:
        self._readiness = readiness
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(_SubmissionMetrics(submissions))
        self._calls = Counter(
            "layer_mcp_calls",
            "Messages that were answered.",
            LABELS,
            registry=self._registry,
        )
        self._seconds = Histogram(
            "layer_mcp_call_duration_seconds",
            "Time until a message was answered.",
            ("method", "tool"),
            buckets=BUCKETS_SECONDS,
            registry=self._registry,
        )
        self._responses = Counter(
            "layer_mcp_http_responses",
            "HTTP responses by status; 0 means that the client disconnected.",
            ("status",),
            registry=self._registry,
        )
        self._in_flight = Gauge(
            "layer_mcp_requests_in_flight",
            "HTTP requests in progress.",
            registry=self._registry,
        )
        self._ready = Gauge(
            "layer_mcp_ready", "Whether /readyz answers 200.", registry=self._registry
        )
        self._queued = Gauge(
            "layer_mcp_queued_runs",
            "Runs in the journal that wait to be sent, of all replicas that share it.",
            registry=self._registry,
        )

    def begin(self, exchange: Exchange) -> None:
        """Count a request as in progress, unless it's a probe."""
        if exchange.path in PROBE_PATHS:
            return
        self._in_flight.inc()

    def end(self, exchange: Exchange) -> None:
        """Count a request that has ended, unless it's a probe."""
        if exchange.path in PROBE_PATHS:
            return
        self._in_flight.dec()
        self._responses.labels(str(exchange.status)).inc()
        if exchange.method is None:
            return
        method, tool = exchange.method, exchange.tool or ""
        self._calls.labels(method, tool, exchange.era or "", exchange.outcome).inc()
        self._seconds.labels(method, tool).observe(exchange.seconds)

    async def text(self) -> bytes:
        """Return the metrics in Prometheus's text format."""
        self._ready.set(not await self._readiness.problems())
        queued = self._readiness.queued_runs
        self._queued.set(math.nan if queued is None else queued)
        return generate_latest(self._registry)


class _SubmissionMetrics(Collector):
    def __init__(self, submissions: Submissions) -> None:
        self._submissions = submissions

    def collect(self) -> Iterable[Metric]:
        """Return the current numbers."""
        yield GaugeMetricFamily(
            "layer_mcp_submissions_in_flight",
            "Paid requests in progress.",
            value=self._submissions.count,
        )
        outcomes = CounterMetricFamily(
            "layer_mcp_submissions", "Paid requests by outcome.", labels=["outcome"]
        )
        for outcome, number in self._submissions.outcomes.items():
            outcomes.add_metric([outcome], number)
        yield outcomes


def serve_metrics(app: ASGIApp, metrics: Metrics, port: int) -> ASGIApp:
    """Return an application that serves only the metrics on this port, and the app on others."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["server"][1] != port:
            await app(scope, receive, send)
            return
        if scope["path"] == METRICS_PATH and scope["method"] == "GET":
            response = Response(await metrics.text(), media_type=CONTENT_TYPE_LATEST)
        else:
            response = PlainTextResponse("Not Found", 404, {"Connection": "close"})
        await response(scope, receive, send)

    return answer
