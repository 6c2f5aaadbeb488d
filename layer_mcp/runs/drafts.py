"""What callers ask for: requests that may name local files instead of their IDs."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from ..api.fields import Id, Request
from ..api.models import GuidanceFile, InferenceRequest, Mask

MAX_PATH_LENGTH = 4096


def _path_as_text(value: object) -> object:
    """Convert a Python program's path to text for JSON."""
    return str(value) if isinstance(value, PurePath) else value


PathAsText = BeforeValidator(_path_as_text)


class LocalGuidanceFile(GuidanceFile):
    """A reference, given by its ID or by the path of a local file."""

    file_id: Id | None = Field(  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
        default=None, description="Uploaded file or earlier output (UUID)."
    )
    path: Annotated[str | None, PathAsText] = Field(
        default=None, max_length=MAX_PATH_LENGTH, description="Or a local file."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.file_id is None) == (self.path is None):
            raise PydanticCustomError("one_source", "must give either file_id or path")
        return self


class LocalMask(Mask):
    """A mask, given by its ID or by the path of a local file."""

    path: Annotated[str | None, PathAsText] = Field(
        default=None, max_length=MAX_PATH_LENGTH, description="Or a local file."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.file_id is not None and self.path is not None:
            raise PydanticCustomError("one_source", "must give either file_id or path")
        return self


class InferenceDraft(InferenceRequest):
    """Layer's request, flat, with local files in place of file IDs, and where to run it.

    `name` is used for the saved files.
    """

    guidance_files: list[LocalGuidanceFile] = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=[],
        max_length=20,
        description="References: objects with file_id or path, type, and weight (0-1).",
    )
    mask: LocalMask | None = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=None,
        description="Area to inpaint or outpaint: object with file_id or path, edge_radius, "
        "for_transparency, for_nontransparency.",
    )
    name: str | None = Field(
        default=None, max_length=100, description="Name of the saved files, e.g. sword."
    )
    workspace_id: str | None = Field(
        default=None, max_length=255, description="Default: as configured."
    )

    def says_what_to_make(self) -> bool:
        """Return whether there's a prompt, a reference, or a mask."""
        return bool((self.prompt or "").strip() or self.guidance_files or self.mask)

    def paths(self) -> list[str]:
        """Return the local files to upload first, without duplicates."""
        given = [file.path for file in self.guidance_files]
        given.append(self.mask.path if self.mask else None)
        return list(dict.fromkeys(path for path in given if path is not None))

    def request(self, file_ids: Mapping[str, str]) -> InferenceRequest:
        """Return the request for Layer, with the IDs of the uploaded files by path.

        Local files without an ID are left out.
        """
        body = self.model_dump(include=set(InferenceRequest.model_fields), exclude_unset=True)
        references: list[dict[str, Any]] = body.get("guidance_files", [])
        mask: dict[str, Any] = body.get("mask") or {}
        for reference in [*references, mask]:
            path = reference.pop("path", None)
            if path is not None:
                reference["file_id"] = file_ids.get(path)
        if references:
            body["guidance_files"] = [one for one in references if one["file_id"] is not None]
        if self.mask is not None and self.mask.path is not None and mask["file_id"] is None:
            del body["mask"]
        return InferenceRequest.model_validate(body)


class WorkflowDraft(Request):
    """The workflow and its inputs; a file input accepts a file_id or a local path."""

    workflow_id: Id = Field(description="From list_workflows (UUID).")
    inputs: dict[str, Any] = Field(
        default={}, description="Values by input name. A file input takes a file_id or local path."
    )
    workspace_id: str | None = Field(
        default=None, max_length=255, description="Default: as configured."
    )


class WorkflowRunDraft(WorkflowDraft):
    """A workflow run to start, and the session to put it in."""

    session_id: Id | None = Field(default=None, description="Session to file it in (UUID).")
    session_name: str | None = Field(
        default=None, max_length=255, description="Or its name; a new one is made."
    )


Draft = InferenceDraft | WorkflowDraft
