"""The arguments of a generation: Layer's request, with local files where it has file ids."""

from collections.abc import Mapping
from typing import Self

from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ..api.fields import Id
from ..api.models import GuidanceFile, InferenceRequest, Mask
from .common import WORKSPACE
from .schema import JsonObject

MAX_PATH_LENGTH = 4096


class GuidanceFileArgument(GuidanceFile):
    """A reference by its id, or by the path of a local file."""

    file_id: Id | None = Field(  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
        default=None, description="Uploaded file or earlier output (UUID)."
    )
    path: str | None = Field(
        default=None, max_length=MAX_PATH_LENGTH, description="Or a local file."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.file_id is None) == (self.path is None):
            raise PydanticCustomError("one_source", "must give either file_id or path")
        return self


class MaskArgument(Mask):
    """A mask by its id, or by the path of a local file."""

    path: str | None = Field(
        default=None, max_length=MAX_PATH_LENGTH, description="Or a local file."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.file_id is not None and self.path is not None:
            raise PydanticCustomError("one_source", "must give either file_id or path")
        return self


class GenerationArguments(InferenceRequest, ArgModelBase):
    """The request's fields, flat, plus where to run it."""

    guidance_files: list[GuidanceFileArgument] = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=[], max_length=20, description="References."
    )
    mask: MaskArgument | None = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=None, description="Area to inpaint or outpaint."
    )
    workspace_id: str | None = WORKSPACE

    def paths(self) -> list[str]:
        """The local files that must be uploaded first, each one once."""
        given = [file.path for file in self.guidance_files]
        given.append(self.mask.path if self.mask else None)
        return list(dict.fromkeys(path for path in given if path is not None))

    def request(self, file_ids: Mapping[str, str]) -> InferenceRequest:
        """What goes to Layer, with the ids of the uploaded files by their path."""
        body = self.model_dump(include=set(InferenceRequest.model_fields), exclude_unset=True)
        references: list[JsonObject] = [*body.get("guidance_files", []), body.get("mask") or {}]
        for reference in references:
            path = reference.pop("path", None)
            if path is not None:
                reference["file_id"] = file_ids[path]
        return InferenceRequest.model_validate(body)
