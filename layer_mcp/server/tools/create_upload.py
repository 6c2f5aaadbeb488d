"""create_upload: return a URL of this server that a remote agent can send a file to."""

import time
from datetime import UTC, datetime

from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import Field

from ...api.fields import PositiveInteger, Request
from ...api.models import UploadUrlRequest
from ...errors import LayerError
from ...files.local_files import MEGABYTE
from ...media.types import MEDIA_TYPES, canonical_type, type_of_extension
from ...text.plain_text import one_line
from ..answers import WORKSPACE, Answer, additive
from ..callers.caller import caller_of
from ..context import ToolContext, app_of
from ..http.upload_links import LINK_SECONDS, UploadLinks, UploadTicket
from ..tool import make_tool

DESCRIPTION = """\
Get a URL to upload a PNG, JPEG, WebP, MP4, MP3, or WAV file to with curl or any HTTP client; free \
of charge."""
MAX_NAME_LENGTH = 255


class CreateUploadArguments(Request, ArgModelBase):
    """The file that will be sent, and the workspace to upload it to."""

    file_name: str = Field(
        min_length=1, max_length=MAX_NAME_LENGTH, description="Such as sword.png."
    )
    size_bytes: PositiveInteger = Field(description="Exact size (wc -c).")
    content_type: str | None = Field(
        default=None, max_length=100, description="Default: by the extension."
    )
    workspace_id: str | None = WORKSPACE


class CreateUploadAnswer(Answer):
    """Where to send the file."""

    upload_url: str
    expires_at: str

    def facts(self) -> list[str]:
        """Return the command that sends the file."""
        return [f'curl -T FILE "{self.upload_url}"', f"The URL expires at {self.expires_at}."]


async def create_upload_url(
    arguments: CreateUploadArguments, context: ToolContext, links: UploadLinks
) -> CreateUploadAnswer:
    """Ask Layer for a signed URL, and seal it in a URL of this server.

    Layer wants the exact size first. Asking it now, while the caller's key is here, is why an
    upload needs no key and no token.
    """
    app, request = app_of(context), context.request_context.request
    file_name = clean_file_name(arguments.file_name)
    content_type = choose_type(file_name, arguments.content_type)
    check_size(arguments.size_bytes, app.settings.max_upload_mb)
    client = app.runs.client
    workspace_id = await client.workspace_id(arguments.workspace_id)
    wanted = UploadUrlRequest(
        content_type=content_type, file_size_bytes=arguments.size_bytes, file_name=file_name
    )
    expires_at = int(time.time()) + LINK_SECONDS
    ticket = UploadTicket(
        caller=caller_of(request).name,
        workspace_id=workspace_id,
        content_type=content_type,
        size_bytes=arguments.size_bytes,
        signed=await client.request_upload_url(wanted, workspace=workspace_id),
        expires_at=expires_at,
    )
    return CreateUploadAnswer(
        upload_url=links.make_url(ticket, "" if request is None else str(request.base_url)),
        expires_at=f"{datetime.fromtimestamp(expires_at, UTC):%Y-%m-%dT%H:%M:%SZ}",
        next_step='Send the file with PUT, for example curl -T FILE "URL". The response has the '
        "file_id for guidance_files or mask.",
    )


def clean_file_name(name: str) -> str:
    """Return the last part of a name or path, as one line.

    Raises:
        LayerError: INVALID_ARGUMENTS, for a name without letters or digits.
    """
    cleaned = one_line(name.replace("\\", "/").rpartition("/")[2])
    if not any(char.isalnum() for char in cleaned):
        raise LayerError(
            "INVALID_ARGUMENTS", "file_name must be the name of a file, such as sword.png."
        )
    return cleaned


def choose_type(file_name: str, content_type: str | None) -> str:
    """Return the media type of a file that Layer accepts, by default from the extension.

    Raises:
        LayerError: INVALID_ARGUMENTS or FILE_TYPE_NOT_SUPPORTED.
    """
    extension = file_name.rpartition(".")[2]
    given = canonical_type(content_type) if content_type else type_of_extension(extension)
    if given is None:
        raise LayerError(
            "INVALID_ARGUMENTS",
            "content_type is needed, because the extension of file_name isn't known.",
        )
    if given not in MEDIA_TYPES:
        sentence = f"content_type must be one of {', '.join(sorted(MEDIA_TYPES))}."
        raise LayerError("FILE_TYPE_NOT_SUPPORTED", sentence)
    return given


def check_size(size_bytes: int, max_upload_mb: int) -> None:
    """Refuse a file that is larger than the setting allows.

    Raises:
        LayerError: FILE_TOO_LARGE.
    """
    if size_bytes > max_upload_mb * MEGABYTE:
        sentence = f"The file has {size_bytes:,} bytes; the limit is {max_upload_mb} MB."
        raise LayerError("FILE_TOO_LARGE", sentence)


def create_upload_tool(links: UploadLinks) -> Tool:
    """Return the tool as the server publishes it; `links` makes the URLs."""

    async def create_upload(
        arguments: CreateUploadArguments, context: ToolContext
    ) -> CreateUploadAnswer:
        return await create_upload_url(arguments, context, links)

    return make_tool(
        create_upload,
        title="Get a URL to upload a file to",
        description=DESCRIPTION,
        arguments=CreateUploadArguments,
        answer=CreateUploadAnswer,
        annotations=additive(),
    )
