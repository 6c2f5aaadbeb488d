"""An OTLP collector on loopback that stores the spans it receives."""

import gzip
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES = "/v1/traces"


class SpanCollector(ThreadingHTTPServer):
    """Receives a process's exports over HTTP."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[bytes] = []
        self.arrived = threading.Condition()

    @property
    def environment(self) -> dict[str, str]:
        """The settings that make a process export its spans here."""
        return {PROTOCOL: "http/protobuf", ENDPOINT: f"http://127.0.0.1:{self.server_port}"}

    def spans(self) -> list[Span]:
        return [
            span
            for body in self.bodies
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def keep(self, body: bytes) -> None:
        with self.arrived:
            self.bodies.append(body)
            self.arrived.notify_all()

    def one(self, name: str) -> Span:
        """Return the span with this name, once it arrives; its process may have to end first."""

        def found() -> list[Span]:
            return [span for span in self.spans() if span.name == name]

        with self.arrived:
            self.arrived.wait_for(found, timeout=20)
        [span] = found()
        return span


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == TRACES:
            packed = self.headers.get("Content-Encoding") == "gzip"
            cast("SpanCollector", self.server).keep(gzip.decompress(body) if packed else body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def span_collector() -> Generator[SpanCollector]:
    """Collect spans until the block ends."""
    with SpanCollector() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def texts_of(span: Span) -> dict[str, str]:
    """Return a span's text attributes."""
    return {one.key: one.value.string_value for one in span.attributes}
