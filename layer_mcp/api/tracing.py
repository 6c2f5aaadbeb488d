"""OpenTelemetry spans, one for each HTTP request to Layer and to file hosts.

Nothing is recorded unless the process has an OpenTelemetry SDK. Names and attributes follow the
semantic conventions for HTTP clients; Layer's own attributes begin with `layer.`. Spans contain no
token, query, or file URL, and requests get no tracing headers.
"""

from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from opentelemetry.trace import Span, SpanKind, Status, StatusCode, get_tracer

from ..errors import LayerError
from ..version import __version__
from .host_rules import PORTS

if TYPE_CHECKING:
    import httpx

TRACER = "layer-mcp"
ID_AFTER = {
    "workspaces": "workspace_id",
    "models": "model_id",
    "inferences": "inference_id",
    "workflows": "workflow_id",
    "runs": "run_id",
}
NO_ID = "estimate"


@contextmanager
def api_span(
    method: str, api_url: str, path: str, *, resend_count: int = 0, prompt: str | None = None
) -> Generator[Span]:
    """Open the span of a request to Layer that was already sent `resend_count` times."""
    template, ids = parse_path(path)
    attributes = _server_attributes(method, urlsplit(api_url)) | {
        "url.full": f"{api_url}/{path}",
        "url.template": template,
        **{f"layer.{name}": value for name, value in ids.items()},
    }
    if resend_count:
        attributes["http.request.resend_count"] = resend_count
    if prompt is not None:
        attributes["layer.prompt"] = prompt
    with _client_span(f"{method} {template}", attributes) as span, _record_exception(span):
        yield span


def record_answer(span: Span, status: int | None, error_type: str | None) -> None:
    """Record the HTTP status of a request to Layer, and the error code, if any."""
    if status is not None:
        span.set_attribute("http.response.status_code", status)
    if error_type is not None:
        _record_error(span, error_type)


@contextmanager
def file_span(
    method: str, address: SplitResult, headers: Mapping[str, str]
) -> Generator[list["httpx.Response"]]:
    """Open the span of a request to a file host; append the response to the list it yields."""
    attributes = _server_attributes(method, address)
    size = headers.get("Content-Length", "0")
    if size != "0":
        attributes["http.request.body.size"] = int(size)
    answers: list[httpx.Response] = []
    with _client_span(method, attributes) as span:
        try:
            with _record_exception(span):
                yield answers
        finally:
            for answer in answers:
                span.set_attribute("http.response.status_code", answer.status_code)
                span.set_attribute("http.response.body.size", answer.num_bytes_downloaded)
                if answer.status_code >= 400:
                    _record_error(span, str(answer.status_code))


def parse_path(path: str) -> tuple[str, dict[str, str]]:
    """Return an operation's path as written in Layer's contract, and the IDs in it."""
    parts: list[str] = []
    ids: dict[str, str] = {}
    name: str | None = None
    for part in path.split("/"):
        if name is None or part == NO_ID:
            parts.append(part)
            name = ID_AFTER.get(part)
        else:
            parts.append(f"{{{name}}}")
            ids[name] = unquote(part)
            name = None
    return "/" + "/".join(parts), ids


def _server_attributes(method: str, address: SplitResult) -> dict[str, str | int]:
    return {
        "http.request.method": method,
        "server.address": address.hostname or "",
        "server.port": address.port or PORTS[address.scheme],
    }


def _client_span(
    name: str, attributes: Mapping[str, str | int]
) -> AbstractContextManager[Span, bool | None]:
    # The text of an exception may contain a URL or text from a host.
    return get_tracer(TRACER, __version__).start_as_current_span(
        name,
        kind=SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    )


@contextmanager
def _record_exception(span: Span) -> Generator[None]:
    """Record an exception in the block by its code or class."""
    try:
        yield
    except BaseException as error:
        is_ours = isinstance(error, LayerError)
        _record_error(span, error.code if is_ours else type(error).__qualname__)
        raise


def _record_error(span: Span, error_type: str) -> None:
    span.set_attribute("error.type", error_type)
    span.set_status(Status(StatusCode.ERROR))
