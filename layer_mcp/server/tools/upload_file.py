"""upload_file: a local file becomes a file_id."""

import anyio
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import Field

from ...api.fields import Request
from ..common import WORKSPACE, adding
from ..generation import MAX_PATH_LENGTH
from ..progress import UPLOAD_UNITS, upload_reporter
from ..results import Answer
from ..run_results import size_in_words
from ..state import ToolContext, app_of
from ..tool import make_tool
from ..waiting import MIN_UPLOAD_SECONDS, seconds_left

DESCRIPTION = """\
Bring a local PNG, JPEG, WebP, MP4, MP3 or WAV file to Layer once; free of charge. Outputs of runs \
have a file_id already."""


class UploadFileArguments(Request, ArgModelBase):
    """Which file, and where to."""

    path: str = Field(min_length=1, max_length=MAX_PATH_LENGTH, description="Local file.")
    workspace_id: str | None = WORKSPACE


class UploadAnswer(Answer):
    """The file as Layer knows it."""

    file_id: str
    content_type: str
    size_bytes: int
    reused: bool = Field(description="It was uploaded before.")

    def facts(self) -> list[str]:
        """The id, the type by content, the size."""
        how = "was there already" if self.reused else "is uploaded"
        size = size_in_words(self.size_bytes)
        return [f"The file {how} ({self.content_type}, {size}): file_id {self.file_id}"]


async def upload_file(arguments: UploadFileArguments, context: ToolContext) -> UploadAnswer:
    """Check the file, send it if its content is new here."""
    began = anyio.current_time()
    app = app_of(context)
    workspace_id = await app.client.workspace_id(arguments.workspace_id)
    [file] = await app.uploads.upload(
        [arguments.path],
        workspace_id,
        total_seconds=max(seconds_left(began, context), MIN_UPLOAD_SECONDS),
        on_bytes=upload_reporter(context, UPLOAD_UNITS),
    )
    return UploadAnswer(
        file_id=file.file_id,
        content_type=file.content_type,
        size_bytes=file.size_bytes,
        reused=file.reused,
        next_step="Use file_id in guidance_files or mask of execute_inference, in any number of "
        "runs of this workspace.",
    )


def upload_file_tool() -> Tool:
    """The tool as the server publishes it."""
    return make_tool(
        upload_file,
        title="Upload a local file",
        description=DESCRIPTION,
        arguments=UploadFileArguments,
        answer=UploadAnswer,
        annotations=adding(),
    )
