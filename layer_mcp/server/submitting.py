"""Calls that refer to local files: the files are brought to Layer first."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from ..api.errors import LayerError
from .progress import upload_reporter
from .state import ToolContext, app_of
from .waiting import seconds_for_uploads

AnswerT = TypeVar("AnswerT")

FileIds = Mapping[str, str]
"""The file ids of local files by their paths."""


async def call_with_files(
    paths: Sequence[str],
    workspace_id: str,
    call: Callable[[FileIds], Awaitable[AnswerT]],
    context: ToolContext,
    *,
    began: float,
) -> AnswerT:
    """The answer to a call of Layer that refers to local files.

    Raises:
        LayerError: what is wrong with a file or its upload, with nothing sent of the call itself;
            or what the call raises.
    """
    uploads = app_of(context).uploads
    files = await uploads.upload(
        paths,
        workspace_id,
        total_seconds=seconds_for_uploads(began, context),
        on_bytes=upload_reporter(context),
    )
    try:
        return await call({file.path: file.file_id for file in files})
    except LayerError as error:
        await uploads.forget_if_gone(error, files, workspace_id)
        raise
