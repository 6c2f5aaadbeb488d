"""A sandbox for transfers: its runs make files of given sizes, and it keeps no uploads."""

import os
from dataclasses import dataclass
from uuid import uuid4

from layer_mcp import InferenceRequest
from layer_mcp.sandbox import SandboxState
from layer_mcp.sandbox.catalog import SandboxModel
from layer_mcp.sandbox.state import Run, SandboxWorkspace, StoredFile, UploadSession

from .media_file import CONTENT_TYPE


@dataclass
class LargeFilesSandbox(SandboxState):
    """Every run makes one file of each size; what is uploaded is counted and forgotten."""

    output_sizes_bytes: tuple[int, ...] = ()

    def submit(
        self,
        workspace: SandboxWorkspace,
        model: SandboxModel,
        request: InferenceRequest,
        references: list[StoredFile],
    ) -> Run:
        """Start a run whose files are there already."""
        run = super().submit(workspace, model, request, references)
        run.outputs = self.store_files(
            [self._file(run.workspace_id, size_bytes) for size_bytes in self.output_sizes_bytes]
        )
        return run

    def store_upload(self, session: UploadSession) -> None:
        """Let the bytes of a complete upload go, so that many of them do not fill the memory."""
        session.received.clear()

    def _file(self, workspace_id: str, size_bytes: int) -> StoredFile:
        file_id = str(uuid4())
        data = os.urandom(size_bytes)
        return StoredFile(file_id, workspace_id, f"{file_id}.wav", CONTENT_TYPE, data)
