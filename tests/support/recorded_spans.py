"""This process's spans, recorded only if a test requests them."""

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import cache

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes


class Switch(Sampler):
    """Drops every span until recording is switched on."""

    def __init__(self) -> None:
        self.is_on = threading.Event()

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        decision = Decision.RECORD_AND_SAMPLE if self.is_on.is_set() else Decision.DROP
        return SamplingResult(decision, attributes)

    def get_description(self) -> str:
        return "only while a test records"


@cache
def recorder() -> tuple[Switch, InMemorySpanExporter]:
    """The process's only recorder, because a provider can't be replaced once it's set."""
    switch, exporter = Switch(), InMemorySpanExporter()
    provider = TracerProvider(sampler=switch, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return switch, exporter


class RecordedSpans:
    """The recorded spans that have ended, oldest first."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def all(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def named(self, start: str) -> list[ReadableSpan]:
        return [span for span in self.all() if span.name.startswith(start)]

    def one(self, start: str) -> ReadableSpan:
        [span] = self.named(start)
        return span

    def text(self) -> str:
        """All text that an exporter could send."""
        return "\n".join(span.to_json() for span in self.all())


@contextmanager
def recorded_spans() -> Generator[RecordedSpans]:
    """Record the spans that end in the block."""
    switch, exporter = recorder()
    exporter.clear()
    switch.is_on.set()
    try:
        yield RecordedSpans(exporter)
    finally:
        switch.is_on.clear()
        exporter.clear()


def parent_of(span: ReadableSpan, spans: Sequence[ReadableSpan]) -> ReadableSpan | None:
    """Return a span's parent, if it was recorded."""
    parent_id = span.parent.span_id if span.parent else None
    found = (other for other in spans if other.context and other.context.span_id == parent_id)
    return next(found, None)
