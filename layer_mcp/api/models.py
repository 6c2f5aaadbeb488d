"""Requests to Layer and its responses: the one source of every schema.

Requests are strict: an unknown name is refused here, because Layer ignores it and charges for the
run all the same. Responses are lenient: an answer to a paid call must not be lost to a new field.

Models are built at their first use: a server that lists its tools needs few of them.
"""

import re
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

UUID_PATTERN = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"

Id = Annotated[str, StringConstraints(pattern=UUID_PATTERN, strip_whitespace=True)]


def _no_flag(value: object) -> object:
    if isinstance(value, bool):
        raise PydanticCustomError("number", "Input should be a number")
    return value


NoFlag = BeforeValidator(_no_flag)
"""A number is not a flag: `true` would count as 1."""

# The limits stand before NoFlag: only so do they reach the JSON schema.
Integer = Annotated[int, NoFlag]
PositiveInteger = Annotated[int, Field(gt=0), NoFlag]
CountOfOutputs = Annotated[int, Field(ge=1, le=16), NoFlag]
Pixels = Annotated[int, Field(ge=0), NoFlag]
Number = Annotated[float, Field(allow_inf_nan=False), NoFlag]
NonNegativeNumber = Annotated[float, Field(ge=0, allow_inf_nan=False), NoFlag]
PositiveNumber = Annotated[float, Field(gt=0, allow_inf_nan=False), NoFlag]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), NoFlag]
Percentage = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False), NoFlag]
TypeName = Annotated[str, StringConstraints(min_length=1), AfterValidator(str.lower)]


class Request(BaseModel):
    """What is sent to Layer. Unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class GuidanceFile(Request):
    """A reference that steers a run (ForgeGuidanceFileInput)."""

    file_id: Id = Field(description="Uploaded file or earlier output (UUID).")
    type: TypeName = Field(
        description="How it guides, e.g. init, reference_image, editing_reference, pose, depth, "
        "first_frame. The model says which it takes."
    )
    weight: Fraction | None = Field(
        default=None, description="Influence. Default 0.5 for init, else 1."
    )


class Mask(Request):
    """Where to paint (ForgeMaskInput)."""

    file_id: Id | None = Field(default=None, description="Mask image (UUID).")
    for_transparency: bool | None = Field(
        default=None, description="Transparent areas are the mask."
    )
    for_nontransparency: bool | None = Field(default=None, description="Opaque areas are the mask.")
    edge_radius: Pixels = Field(default=0, description="Edge blur in pixels.")


class VideoEffect(Request):
    """A camera move or effect (ForgeVideoEffectInput)."""

    type: TypeName = Field(description="Effect name, e.g. zoom_in, crane_up, orbit_360.")
    weight: Percentage | None = Field(default=None, description="Strength.")


class InferenceRequest(Request):
    """The body of one generation (ExecuteInferenceRequest).

    Flat, as Layer wants it. Fields that a model does not use are ignored by Layer.
    """

    model_id: Id = Field(description="Model or style to use (UUID).")
    prompt: str | None = Field(default=None, max_length=100_000, description="What to make.")
    width: PositiveInteger | None = Field(default=None, description="Output width in pixels.")
    height: PositiveInteger | None = Field(default=None, description="Output height in pixels.")
    batch_size: CountOfOutputs = Field(
        default=4, description="Number of outputs. Each one is charged."
    )
    num_inference_steps: PositiveInteger | None = Field(
        default=None, description="Diffusion steps."
    )
    guidance_scale: Number | None = Field(default=None, description="Guidance scale (CFG).")
    prompt_strength: Fraction | None = Field(
        default=None, description="Prompt strength for img2img; prompt adherence for audio."
    )
    quality: Literal["low", "medium", "high"] | None = Field(
        default=None, description="Quality level."
    )
    sharpness: Number | None = Field(default=None, description="Output sharpness.")
    duration_seconds: PositiveNumber | None = Field(
        default=None, description="Video length, above 0."
    )
    generate_audio: bool | None = Field(default=None, description="Make sound with the video.")
    keep_audio: bool | None = Field(default=None, description="Keep the input video's sound.")
    fps: PositiveInteger | None = Field(default=None, description="Video frames per second.")
    video_effects: list[VideoEffect] = Field(default=[], description="Video effects.")
    use_ta_pose: bool | None = Field(default=None, description="3D character in T or A pose.")
    include_textures: bool | None = Field(default=None, description="Textures on the 3D mesh.")
    quad_mesh: bool | None = Field(default=None, description="Quad mesh.")
    pbr_materials: bool | None = Field(default=None, description="PBR materials.")
    low_poly: bool | None = Field(default=None, description="Low-poly mesh.")
    generate_parts: bool | None = Field(default=None, description="Separate mesh parts.")
    face_limit: PositiveInteger | None = Field(default=None, description="Most faces of the mesh.")
    stability: Fraction | None = Field(default=None, description="Voice stability.")
    use_speaker_boost: bool | None = Field(default=None, description="Clearer voice.")
    similarity_boost: Fraction | None = Field(default=None, description="Likeness to the voice.")
    style_exaggeration: Fraction | None = Field(
        default=None, description="Voice style exaggeration."
    )
    speed: PositiveNumber | None = Field(default=None, description="Speech speed factor, above 0.")
    upscale_ratio: Number | None = Field(default=None, description="Upscale factor, e.g. 2 or 4.")
    creativity: Number | None = Field(default=None, description="Freedom when upscaling.")
    resemblance: Number | None = Field(default=None, description="Likeness when upscaling.")
    vectorize: bool | None = Field(default=None, description="Vector output (SVG).")
    remove_background: bool | None = Field(default=None, description="Cut out the subject.")
    reframe: bool | None = Field(default=None, description="Extend the image to a new frame.")
    refill: bool | None = Field(default=None, description="Fill transparent areas.")
    seed: Integer = Field(default=-1, description="-1 for random.")
    guidance_files: list[GuidanceFile] = Field(default=[], max_length=20, description="References.")
    mask: Mask | None = Field(default=None, description="Area to inpaint or outpaint.")
    session_name: str | None = Field(
        default=None, max_length=255, description="Layer session to file it in."
    )

    def body(self) -> dict[str, Any]:
        """The JSON for Layer: flat, what was given plus the documented defaults, no nulls."""
        return self.model_dump(mode="json", exclude_none=True)


# Layer's docs and clients spell the same status in several ways.
STATUS_SYNONYMS = {
    "completed": "complete",
    "canceled": "cancelled",
    "inprogress": "in_progress",
}


def is_uuid(text: str) -> bool:
    """Whether the text is a UUID, the form of all of Layer's ids."""
    return re.fullmatch(UUID_PATTERN, text) is not None


def canonical_status(status: object) -> str:
    """One spelling for each known inference status; an unknown one is kept, in lower case."""
    if not isinstance(status, str):
        return "unknown"
    word = status.strip().lower().replace("-", "_").replace(" ", "_")
    return STATUS_SYNONYMS.get(word, word)


def _none_if_invalid(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    try:
        return handler(value)
    except ValidationError:
        return None


def _list_of_objects(value: object) -> list[object]:
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [item for item in items if isinstance(item, dict)]


def _objects_of_a_list(value: object) -> object:
    return _list_of_objects(cast("list[object]", value)) if isinstance(value, list) else value


def _with_a_workspace_id(value: object) -> object:
    if not isinstance(value, list):
        return value
    items = cast("list[dict[str, object]]", _list_of_objects(cast("list[object]", value)))
    return [item for item in items if isinstance(item.get("workspace_id"), str)]


Status = Annotated[str, BeforeValidator(canonical_status)]
Lenient = WrapValidator(_none_if_invalid)
OptionalText = Annotated[str | None, Lenient]
OptionalNumber = Annotated[Number | None, Lenient]
OptionalInteger = Annotated[int | None, Lenient]


class Response(BaseModel):
    """What Layer answers. Unknown fields are ignored; a malformed optional one counts as absent."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


class Output(Response):
    """One generated file (ForgeRunAsset)."""

    file_id: OptionalText = None
    url: OptionalText = None
    content_type: OptionalText = None
    preview_url: OptionalText = None
    width: OptionalInteger = None
    height: OptionalInteger = None
    duration_seconds: OptionalNumber = None
    file_size_bytes: OptionalInteger = None


class StartedInference(Response):
    """The answer to execute (ExecuteForgeOutput): the run exists and will be charged."""

    inference_id: str = Field(min_length=1)
    status: Status = "in_progress"
    poll_interval_seconds: OptionalNumber = None
    created_at: OptionalText = None
    estimated_price_creative_units: OptionalNumber = None
    session_id: OptionalText = None
    normalized_parameters: Annotated[dict[str, Any] | None, Lenient] = None


class Inference(Response):
    """The state of a run (GetForgeRunOutput)."""

    inference_id: str = Field(min_length=1)
    status: Status
    poll_interval_seconds: OptionalNumber = None
    completed_at: OptionalText = None
    outputs: Annotated[list[Output], BeforeValidator(_list_of_objects)] = []
    actual_price_creative_units: OptionalNumber = None
    error: OptionalText = None
    error_code: OptionalText = None


class Workspace(Response):
    """A workspace of the account with its balance in Creative Units (WorkspaceInfo)."""

    workspace_id: str
    slug: OptionalText = None
    name: OptionalText = None
    balance_creative_units: OptionalNumber = None
    reserved_creative_units: OptionalNumber = None
    available_creative_units: OptionalNumber = None


class Pagination(Response):
    """Where the next page is."""

    next_cursor: OptionalText = None
    has_more_results: Annotated[bool | None, Lenient] = None


class FieldProblem(Response):
    """One refused field, as FastAPI reports it."""

    loc: Annotated[list[Any] | None, Lenient] = None
    msg: OptionalText = None


class Problem(Response):
    """An error answer: problem+json, or FastAPI's list of refused fields."""

    type: OptionalText = None
    title: OptionalText = None
    detail: Annotated[
        str | list[FieldProblem] | None, BeforeValidator(_objects_of_a_list), Lenient
    ] = None


class WorkspaceList(Response):
    """One page of workspaces (ListWorkspacesOutput)."""

    workspaces: Annotated[list[Workspace], BeforeValidator(_with_a_workspace_id)]
    pagination: Annotated[Pagination | None, Lenient] = None
