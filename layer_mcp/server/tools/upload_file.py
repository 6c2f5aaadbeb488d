"""upload_file: upload a local file and return its file_id."""

from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import Field

from ...api.fields import Request
from ...runs.drafts import MAX_PATH_LENGTH
from ...runs.views import describe_size
from ..answers import WORKSPACE, Answer, additive
from ..context import UPLOAD_UNITS, ToolContext, begin_call, report_upload, runs_for
from ..tool import make_tool

DESCRIPTION = """\
Upload a local PNG, JPEG, WebP, MP4, MP3, or WAV file to Layer once; free of charge. Outputs of \
runs already have a file_id."""


class UploadFileArguments(Request, ArgModelBase):
    """The file, and the workspace to upload it to."""

    path: str = Field(min_length=1, max_length=MAX_PATH_LENGTH, description="Local file.")
    workspace_id: str | None = WORKSPACE


class UploadAnswer(Answer):
    """The uploaded file."""

    file_id: str
    content_type: str
    size_bytes: int
    reused: bool = Field(description="True if it was uploaded before.")

    def facts(self) -> list[str]:
        """Return the ID, the detected type, and the size."""
        how = "was already uploaded" if self.reused else "was uploaded"
        size = describe_size(self.size_bytes)
        return [f"The file {how} ({self.content_type}, {size}): file_id {self.file_id}"]


async def upload_file(arguments: UploadFileArguments, context: ToolContext) -> UploadAnswer:
    """Check the file, and upload it if its content is new here."""
    budget = begin_call(context)
    [file] = await runs_for(context).upload(
        [arguments.path],
        arguments.workspace_id,
        seconds=budget.seconds_left,
        on_upload=report_upload(context, UPLOAD_UNITS),
    )
    return UploadAnswer(
        file_id=file.file_id,
        content_type=file.content_type,
        size_bytes=file.size_bytes,
        reused=file.reused,
        next_step="Use file_id in guidance_files or mask of execute_inference, in any number of "
        "runs in this workspace.",
    )


def upload_file_tool() -> Tool:
    """Return the tool as the server publishes it."""
    return make_tool(
        upload_file,
        title="Upload a local file",
        description=DESCRIPTION,
        arguments=UploadFileArguments,
        answer=UploadAnswer,
        annotations=additive(),
    )
