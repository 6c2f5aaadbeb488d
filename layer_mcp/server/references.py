"""The local files that a call refers to: they are brought to Layer first."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..errors import LayerError
from .progress import upload_reporter
from .state import ToolContext, app_of
from .uploads import UploadedFile, Uploads
from .waiting import seconds_for_uploads

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True)
class References:
    """Local files that Layer has by now; `ids` has their file ids by their paths."""

    files: Sequence[UploadedFile]
    workspace_id: str
    uploads: Uploads

    @property
    def ids(self) -> dict[str, str]:
        """The file ids by the paths of the call."""
        return {file.path: file.file_id for file in self.files}

    @property
    def contents(self) -> dict[str, str]:
        """The SHA-256 of the files by their ids."""
        return {file.file_id: file.sha256 for file in self.files}

    async def used_by(self, call: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
        """The answer to a call that names the files; a file that Layer lost is forgotten.

        Raises:
            LayerError: what the call raises.
        """
        try:
            return await call()
        except LayerError as error:
            await self.uploads.forget_if_gone(error, self.files, self.workspace_id)
            raise


async def bring_references(
    paths: Sequence[str], workspace_id: str, context: ToolContext, *, began: float
) -> References:
    """Bring local files to Layer, each content once.

    Raises:
        LayerError: what is wrong with a file or its upload.
    """
    uploads = app_of(context).uploads
    files = await uploads.upload(
        paths,
        workspace_id,
        total_seconds=seconds_for_uploads(began, context),
        on_bytes=upload_reporter(context),
    )
    return References(files, workspace_id, uploads)
