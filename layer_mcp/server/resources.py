"""The resources: what a client can read without calling a tool."""

import hashlib
import io
import json
import logging
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import anyio
from anyio import to_thread
from mcp.shared.exceptions import MCPError
from mcp.shared.uri_template import UriTemplate
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    BlobResourceContents,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)

from ..api.fields import is_uuid
from ..api.models import Output
from ..arguments import parse_arguments
from ..errors import LayerError
from ..files.folders import read_file
from ..media.sniff import HEAD_BYTES, sniff
from ..media.types import MEDIA_TYPES, extension_of
from ..runs.outputs import SavedFile, find_saved
from ..runs.types.filters import RunFilter
from ..runs.types.run import Run, outputs_as_json
from ..runs.views import describe_size, row_as_json
from ..schema import portable_schema
from .answers import Answer
from .context import App, ToolContext, app_of, runs_for
from .run_answers import OUTPUT_TEMPLATE, OutputFile
from .tools.get_model import GetModelArguments, get_model
from .tools.list_workspaces import ListWorkspacesArguments, list_workspaces

RUNS_URI = "layer://runs"
WORKSPACES_URI = "layer://workspaces"
MODEL_TEMPLATE = "layer://models/{id}{?workspace_id}"

JSON_TYPE = "application/json"
OTHER_TYPE = "application/octet-stream"
MAX_READ_SECONDS = 25
MAX_SHOWN_LENGTH = 200
MAX_SHOWN_ID_LENGTH = 60
MAX_RUNS = 50
# Hosts cut off results at 1 MB, and base64 makes 3 bytes into 4.
MAX_FILE_BYTES = 700_000
MODEL_TTL_MS = 300_000
# The outputs of a run never change.
OUTPUT_TTL_MS = 3_600_000
BLANKS_AND_BYTE_ORDER_MARK = b" \t\r\n\xef\xbb\xbf"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reading:
    """The content of a resource: text, or the bytes of a file.

    The client that read it may cache it for `ttl_ms`.
    """

    content: str | bytes
    mime_type: str = JSON_TYPE
    ttl_ms: int = 0


@dataclass(frozen=True)
class LayerResource:
    """A resource with a fixed `uri`, a URI `template`, or both.

    `read` gets the values of the template's variables and raises `LayerError`. Without a
    `mime_type`, the type depends on the content.
    """

    name: str
    title: str
    description: str
    read: Callable[[ToolContext, Mapping[str, str]], Awaitable[Reading]]
    uri: str | None = None
    template: str | None = None
    mime_type: str | None = JSON_TYPE

    def match(self, uri: str) -> dict[str, str] | None:
        """Return the template's values in a URI, or None if the URI is not this resource's."""
        values = UriTemplate.parse(self.template or self.uri or "").match(uri)
        # No template has a variable that holds a list.
        return cast("dict[str, str] | None", values)


def list_resources() -> list[Resource]:
    """Return the resources that have a fixed URI."""
    return [
        Resource(
            uri=resource.uri,
            name=resource.name,
            title=resource.title,
            description=resource.description,
            mime_type=resource.mime_type,
        )
        for resource in RESOURCES
        if resource.uri is not None
    ]


def list_resource_templates() -> list[ResourceTemplate]:
    """Return the resources whose URI has variables."""
    return [
        ResourceTemplate(
            uri_template=resource.template,
            name=resource.name,
            title=resource.title,
            description=resource.description,
            mime_type=resource.mime_type,
        )
        for resource in RESOURCES
        if resource.template is not None
    ]


async def read_resource(uri: str, context: ToolContext) -> ReadResourceResult | None:
    """Read the resource at a URI within a time limit; return None if no resource has that URI.

    Raises:
        MCPError: Invalid params if the URI names nothing, otherwise an internal error.
    """
    for resource in RESOURCES:
        values = resource.match(uri)
        if values is not None:
            reading = await _read(resource, uri, values, context)
            return ReadResourceResult(
                contents=[_contents(uri, reading)], ttl_ms=reading.ttl_ms, cache_scope="private"
            )
    return None


async def _read(
    resource: LayerResource, uri: str, values: Mapping[str, str], context: ToolContext
) -> Reading:
    try:
        with anyio.fail_after(MAX_READ_SECONDS):
            return await resource.read(context, values)
    except LayerError as error:
        raise _protocol_error(app_of(context).explain(error), uri) from None
    except TimeoutError:
        raise _protocol_error(LayerError("TIMEOUT", "It took too long."), uri) from None
    except Exception:
        logger.exception("Reading %s crashed", resource.name)
        failure = LayerError("READ_FAILED", "The server couldn't read it.", next_step="Try again.")
        raise _protocol_error(failure, uri) from None


def _protocol_error(error: LayerError, uri: str) -> MCPError:
    logger.info("A resource couldn't be read: %s", error)
    is_wrong_request = error.code.endswith("_NOT_FOUND") or error.code == "INVALID_ARGUMENTS"
    return MCPError(
        code=INVALID_PARAMS if is_wrong_request else INTERNAL_ERROR,
        message=str(error),
        data={"uri": uri[:MAX_SHOWN_LENGTH], "code": error.code},
    )


def _contents(uri: str, reading: Reading) -> TextResourceContents | BlobResourceContents:
    if isinstance(reading.content, str):
        return TextResourceContents(uri=uri, mime_type=reading.mime_type, text=reading.content)
    blob = b64encode(reading.content).decode()
    return BlobResourceContents(uri=uri, mime_type=reading.mime_type, blob=blob)


async def _read_runs(context: ToolContext, values: Mapping[str, str]) -> Reading:
    try:
        limit = min(max(int(values.get("limit") or MAX_RUNS), 1), MAX_RUNS)
    except ValueError:
        raise LayerError("INVALID_ARGUMENTS", "limit must be a whole number.") from None
    runs = await runs_for(context).list(limit=limit)
    private = runs_for(context).folders.private()
    rows = await to_thread.run_sync(lambda: [row_as_json(run, private) for run in runs])
    return Reading(_to_json(rows))


async def _read_run(context: ToolContext, values: Mapping[str, str]) -> Reading:
    run_id = values["inference_id"]
    runs = await runs_for(context).list(RunFilter(run_ids=(run_id.lower(),)), 1)
    if not runs:
        sentence = f"No run {run_id[:MAX_SHOWN_ID_LENGTH]} was started on this machine."
        step = f"Read {RUNS_URI} to list the runs."
        raise LayerError("RUN_NOT_FOUND", sentence, next_step=step)
    private = runs_for(context).folders.private()
    row = await to_thread.run_sync(row_as_json, runs[0], private)
    details = {"facts": runs[0].facts(), "outputs": outputs_as_json(runs[0].outputs)}
    return Reading(_to_json(row | details))


async def _read_model(context: ToolContext, values: Mapping[str, str]) -> Reading:
    given = {"model_id": values["id"], "workspace_id": values.get("workspace_id")}
    arguments = parse_arguments(GetModelArguments, portable_schema(GetModelArguments), given)
    return _reading_of(await get_model(arguments, context), context, ttl_ms=MODEL_TTL_MS)


async def _read_workspaces(context: ToolContext, _values: Mapping[str, str]) -> Reading:
    # Not cached: every run changes a balance.
    return _reading_of(await list_workspaces(ListWorkspacesArguments(), context), context)


def _reading_of(answer: Answer, context: ToolContext, *, ttl_ms: int = 0) -> Reading:
    """Convert a tool's answer, without the next step that only a caller of tools can take."""
    facts = answer.model_dump(mode="json", exclude={"next_step"}, exclude_none=True)
    mark = {"simulated": True} if app_of(context).settings.sandbox else {}
    return Reading(_to_json(facts | mark), ttl_ms=ttl_ms)


def _to_json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)


@dataclass(frozen=True)
class SavedOutput:
    """An output on disk: its entry in the sidecar, and its path."""

    file: SavedFile
    path: Path


async def _read_output(context: ToolContext, values: Mapping[str, str]) -> Reading:
    """Return the bytes of an output, or its address if it is too large for a host.

    A saved file is read from disk if it is unchanged; otherwise the output is downloaded. Only
    outputs of runs in the journal are read, so a URI alone cannot make the server download.
    """
    app = app_of(context)
    run, output = await _find_output(app, values["file_id"])
    saved = await to_thread.run_sync(_find_saved, app, run, output)
    data = await to_thread.run_sync(_read_saved, app, saved) if saved else None
    if data is None and not _is_large(output, saved):
        data = await _download(app, output)
    if data is None:
        return Reading(_to_json(_describe_large(run, output, saved)))
    return Reading(data, _media_type(data, output), OUTPUT_TTL_MS)


async def _find_output(app: App, file_id: str) -> tuple[Run, Output]:
    run = await app.runs.find_maker(file_id) if is_uuid(file_id) else None
    for output in run.outputs if run else ():
        if run is not None and (output.file_id or "").lower() == file_id.lower():
            return run, output
    shown_id = file_id[:MAX_SHOWN_ID_LENGTH]
    sentence = f"No run of this machine is known to have made {shown_id}."
    step = f"Find the run in {RUNS_URI}, and call get_status once it has ended."
    raise LayerError("OUTPUT_NOT_FOUND", sentence, next_step=step)


def _find_saved(app: App, run: Run, output: Output) -> SavedOutput | None:
    if run.folder is None or run.run_id is None or output.file_id is None:
        return None
    saved = find_saved(run.folder, run.run_id, app.runs.folders.private())
    present = saved.present() if saved else {}
    for file in saved.files if saved else ():
        is_this_output = (file.file_id or "").lower() == output.file_id.lower()
        if is_this_output and file.number in present:
            return SavedOutput(file, present[file.number])
    return None


def _read_saved(app: App, saved: SavedOutput) -> bytes | None:
    """Read a saved file; return None if it is large, changed, or outside the output folder."""
    if saved.file.size_bytes > MAX_FILE_BYTES:
        return None
    try:
        if not saved.path.is_relative_to(app.runs.folders.output_root()):
            return None
        data = read_file(saved.path, MAX_FILE_BYTES, app.runs.folders.private())
    except (OSError, LayerError):
        return None
    is_same = data is not None and hashlib.sha256(data).hexdigest() == saved.file.sha256
    return data if is_same else None


def _is_large(output: Output, saved: SavedOutput | None) -> bool:
    size_bytes = saved.file.size_bytes if saved else output.file_size_bytes
    return size_bytes is not None and size_bytes > MAX_FILE_BYTES


async def _download(app: App, output: Output) -> bytes | None:
    """Download an output from the media host; return None if it is too large."""
    if not output.url:
        raise LayerError("OUTPUT_GONE", "Layer gave no URL for this output.")
    sink = io.BytesIO()
    try:
        await app.runs.client.download(output.url, sink, max_bytes=MAX_FILE_BYTES)
    except LayerError as error:
        if error.code == "OUTPUT_TOO_LARGE":
            return None
        raise
    data = sink.getvalue()
    if not data:
        raise LayerError("DOWNLOAD_FAILED", "The media host sent an empty file.")
    is_markup = data.lstrip(BLANKS_AND_BYTE_ORDER_MARK).startswith(b"<")
    if _declared_type(output) in MEDIA_TYPES and is_markup:
        raise LayerError("DOWNLOAD_FAILED", "The media host sent a web page, not the file.")
    return data


def _media_type(data: bytes, output: Output) -> str:
    """Detect the type from the bytes; use Layer's type only if the bytes don't reveal it."""
    detected, declared = sniff(data[:HEAD_BYTES], len(data)), _declared_type(output)
    if detected in MEDIA_TYPES:
        return detected
    is_undetectable = extension_of(declared) is not None and declared not in MEDIA_TYPES
    return declared if is_undetectable else OTHER_TYPE


def _declared_type(output: Output) -> str:
    return (output.content_type or "").partition(";")[0].strip().lower()


def _describe_large(run: Run, output: Output, saved: SavedOutput | None) -> dict[str, object]:
    path = str(saved.path) if saved else None
    file = OutputFile.model_validate(output.model_dump() | {"path": path})
    id_name = "inference_id" if run.request.kind == "inference" else "run_id"
    place = "from its path" if path else "from its URL; no token is needed"
    return {
        **file.model_dump(exclude_none=True),
        id_name: run.run_id,
        "why": f"It's larger than {describe_size(MAX_FILE_BYTES)}, more than clients accept.",
        "next_step": f"Read it {place}.",
    }


# In the order in which clients list them.
RESOURCES = (
    LayerResource(
        name="runs",
        title="Runs started from this machine",
        description="Newest first, with status, price and files.",
        read=_read_runs,
        uri=RUNS_URI,
        template=RUNS_URI + "{?limit}",
    ),
    LayerResource(
        name="run",
        title="One run",
        description="Its request, price and outputs. A workflow's run_id works too.",
        read=_read_run,
        template=RUNS_URI + "/{inference_id}",
    ),
    LayerResource(
        name="output",
        title="One output",
        description="A file that a run made, or its location if it's larger than 700 KB.",
        read=_read_output,
        template=OUTPUT_TEMPLATE,
        mime_type=None,
    ),
    LayerResource(
        name="model",
        title="One model",
        description="The generation arguments that it uses and ignores.",
        read=_read_model,
        template=MODEL_TEMPLATE,
    ),
    LayerResource(
        name="workspaces",
        title="Workspaces and balance",
        description="The account's workspaces, with their balances in Creative Units (CU).",
        read=_read_workspaces,
        uri=WORKSPACES_URI,
    ),
)
