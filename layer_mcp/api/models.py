"""Requests to Layer and its responses: the single source of every schema."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from typing import Annotated, Any, Generic, Literal, TypedDict, TypeVar, cast

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, model_validator

from ..text.plain_text import one_line
from .fields import (
    MAX_CURSOR_LENGTH,
    CountOfOutputs,
    Fraction,
    Id,
    Integer,
    Lenient,
    ListedId,
    Name,
    NonNegativeInteger,
    NonNegativeNumber,
    Number,
    OptionalCount,
    OptionalCursor,
    OptionalDuration,
    OptionalHeader,
    OptionalId,
    OptionalName,
    OptionalNumber,
    OptionalPrice,
    OptionalText,
    OptionalTime,
    OptionalUrl,
    PageSize,
    Percentage,
    PositiveInteger,
    PositiveNumber,
    Price,
    Request,
    Response,
    RunId,
    TypeName,
    list_of_objects,
    objects_of_a_list,
    objects_with,
)


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
    """The area to paint (ForgeMaskInput)."""

    file_id: Id | None = Field(default=None, description="Mask image (UUID).")
    for_transparency: bool | None = Field(
        default=None, description="Transparent areas are the mask."
    )
    for_nontransparency: bool | None = Field(default=None, description="Opaque areas are the mask.")
    edge_radius: NonNegativeInteger = Field(default=0, description="Edge blur in pixels.")


class VideoEffect(Request):
    """A camera move or effect (ForgeVideoEffectInput)."""

    type: TypeName = Field(description="Effect name, e.g. zoom_in, crane_up, orbit_360.")
    weight: Percentage | None = Field(default=None, description="Strength.")


class InferenceRequest(Request):
    """The body of one generation (ExecuteInferenceRequest).

    Flat, as Layer expects it. Layer ignores fields that a model doesn't use.
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
    video_effects: list[VideoEffect] = Field(
        default=[], description="Camera moves and effects: objects with type and weight (0-100)."
    )
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
        """Return the JSON for Layer: flat, with the documented defaults and without nulls."""
        return self.model_dump(mode="json", exclude_none=True)


Modality = Literal["image", "video", "three_d", "audio", "text"]


class ModelQuery(Request):
    """A query for models (GET models)."""

    modality: Modality | None = Field(default=None, description="What the model makes.")
    search: str | None = Field(
        default=None, max_length=200, description="Words in name or description."
    )
    supports_reference_images: bool | None = Field(default=None, description="Takes references.")
    inpainting: bool | None = Field(default=None, description="Repaints a masked area.")
    outpainting: bool | None = Field(default=None, description="Extends a picture.")
    generate_audio: bool | None = Field(default=None, description="Video with sound.")
    text_to_3d: bool | None = Field(default=None, description="Mesh from text.")
    image_to_3d: bool | None = Field(default=None, description="Mesh from a picture.")
    text_to_speech: bool | None = Field(default=None, description="Speech from text.")
    sound_effect: bool | None = Field(default=None, description="Sound effects.")
    limit: PageSize = Field(default=20, description="Rows.")
    cursor: str | None = Field(
        default=None, max_length=MAX_CURSOR_LENGTH, description="next_cursor of the previous page."
    )

    def params(self) -> dict[str, str]:
        """Return the query as text, without fields that aren't set."""
        return query_params(self)


class ModelFilters(TypedDict, total=False):
    """The fields of a `ModelQuery` as keyword arguments."""

    modality: Modality | None
    search: str | None
    supports_reference_images: bool | None
    inpainting: bool | None
    outpainting: bool | None
    generate_audio: bool | None
    text_to_3d: bool | None
    image_to_3d: bool | None
    text_to_speech: bool | None
    sound_effect: bool | None
    limit: int
    cursor: str | None


class WorkflowQuery(Request):
    """A query for workflows (GET workflows)."""

    search: str | None = Field(
        default=None, max_length=200, description="Words in name or description."
    )
    limit: PageSize = Field(default=20, description="Rows.")
    cursor: str | None = Field(
        default=None, max_length=MAX_CURSOR_LENGTH, description="next_cursor of the previous page."
    )

    def params(self) -> dict[str, str]:
        """Return the query as text, without fields that aren't set."""
        return query_params(self)


class WorkflowFilters(TypedDict, total=False):
    """The fields of a `WorkflowQuery` as keyword arguments."""

    search: str | None
    limit: int
    cursor: str | None


class UploadUrlRequest(Request):
    """The file to get a signed URL for (RequestUploadUrlRequest)."""

    content_type: str
    file_size_bytes: PositiveInteger
    file_name: str | None = None


class WorkflowRunRequest(Request):
    """The body of one workflow run (ExecuteWorkflowRequest)."""

    inputs: dict[str, Any]
    session_id: Id | None = Field(default=None, description="Session to file it in (UUID).")
    session_name: str | None = Field(
        default=None, max_length=255, description="Or its name; a new one is made."
    )


# Layer spells statuses in several ways, and uses other words for the statuses of workflow runs.
STATUS_SYNONYMS = {
    "inprogress": "in_progress",
    "pending": "in_progress",
    "queued": "in_progress",
    "running": "in_progress",
    "completed": "complete",
    "success": "complete",
    "succeeded": "complete",
    "failure": "failed",
    "canceled": "cancelled",
}
# Longer than any known status.
MAX_STATUS_LENGTH = 40
# A step that hasn't begun isn't in progress.
STEP_STATUS_SYNONYMS = STATUS_SYNONYMS | {"pending": "pending", "queued": "pending"}


def canonical_status(status: object) -> str:
    """Return the canonical status of a run; an unknown status is lowercased."""
    word = _status_word(status)
    return STATUS_SYNONYMS.get(word, word)


def canonical_step_status(status: object) -> str:
    """Return the canonical status of a workflow step: a run's status, or `pending`."""
    word = _status_word(status)
    return STEP_STATUS_SYNONYMS.get(word, word)


def _status_word(status: object) -> str:
    if not isinstance(status, str):
        return "unknown"
    return one_line(status, MAX_STATUS_LENGTH).lower().replace("-", "_").replace(" ", "_")


def query_params(query: Request) -> dict[str, str]:
    """Return a query as text: booleans in lowercase, and only the fields that are set."""
    values = query.model_dump(mode="json", exclude_none=True)
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in values.items()
    }


RunStatus = Literal["in_progress", "complete", "failed", "cancelled", "deleted"]
"""The status of an inference or a workflow run. A status that Layer adds later stays as text."""

StepStatus = Literal[
    "pending", "in_progress", "complete", "failed", "cancelled", "deleted", "unknown"
]
"""The status of a workflow step: pending until it begins, unknown if Layer doesn't say."""

# Read as text, because unknown statuses are passed on.
AnyText = PlainSerializer(str, return_type=str)
RunStatusRead = Annotated[RunStatus, PlainValidator(canonical_status), AnyText]
StepStatusRead = Annotated[StepStatus, PlainValidator(canonical_step_status), AnyText]


class Output(Response):
    """One generated file (ForgeRunAsset)."""

    file_id: OptionalId = None
    url: OptionalUrl = None
    content_type: OptionalName = None
    preview_url: OptionalUrl = None
    width: OptionalCount = None
    height: OptionalCount = None
    duration_seconds: OptionalDuration = None
    file_size_bytes: OptionalCount = None


class StartedRun(Response):
    """The response to starting a run: it exists and will be charged."""

    status: RunStatusRead = "in_progress"
    poll_interval_seconds: OptionalNumber = None
    estimated_price_creative_units: OptionalPrice = None
    session_id: OptionalId = None


class StartedInference(StartedRun):
    """The response to execute (ExecuteForgeOutput): the run exists and will be charged."""

    inference_id: RunId
    created_at: OptionalTime = None
    normalized_parameters: Annotated[dict[str, Any] | None, Lenient] = None


class RunSnapshot(Response):
    """The state of an inference or a workflow run when it was read."""

    status: RunStatusRead
    poll_interval_seconds: OptionalNumber = None
    completed_at: OptionalTime = None
    outputs: Annotated[list[Output], BeforeValidator(list_of_objects)] = Field(default=[])
    actual_price_creative_units: OptionalPrice = None
    error: OptionalText = None
    error_code: OptionalName = None


class Inference(RunSnapshot):
    """The state of a run (GetForgeRunOutput)."""

    inference_id: RunId


class Workspace(Response):
    """A workspace of the account with its balance in Creative Units (WorkspaceInfo)."""

    workspace_id: ListedId
    slug: OptionalName = None
    name: OptionalName = None
    balance_creative_units: OptionalNumber = None
    reserved_creative_units: OptionalNumber = None
    available_creative_units: OptionalNumber = None


class Pagination(Response):
    """The cursor of the next page."""

    next_cursor: OptionalCursor = None
    has_more_results: Annotated[bool | None, Lenient] = None
    total_count: OptionalCount = None


class Page(Response):
    """One page of a list."""

    pagination: Annotated[Pagination | None, Lenient] = None

    @property
    def next_cursor(self) -> str | None:
        """The cursor of the next page; None on the last one."""
        page = self.pagination
        return page.next_cursor or None if page and page.has_more_results is not False else None


PageT = TypeVar("PageT", bound=Page)
RowT = TypeVar("RowT")


class Pages(Generic[PageT, RowT]):
    """A list that Layer returns in pages. Nothing is requested until you use it.

    `await` reads one page. `async for` reads all pages and yields their rows.
    """

    def __init__(
        self,
        read: Callable[[str | None], Awaitable[PageT]],
        rows_of: Callable[[PageT], Sequence[RowT]],
        cursor: str | None = None,
    ) -> None:
        self._read = read
        self._rows_of = rows_of
        self._cursor = cursor

    def __await__(self) -> Generator[Any, Any, PageT]:
        """Read one page."""
        return self._read(self._cursor).__await__()

    async def __aiter__(self) -> AsyncGenerator[RowT]:
        """Yield the rows of this page and the following ones."""
        cursor = self._cursor
        while True:
            page = await self._read(cursor)
            for row in self._rows_of(page):
                yield row
            # A page that names itself as the next one would never end.
            if page.next_cursor in (None, cursor):
                return
            cursor = page.next_cursor


class FieldProblem(Response):
    """A rejected field, as FastAPI reports it."""

    loc: Annotated[list[Any] | None, Lenient] = None
    msg: OptionalName = None


class Problem(Response):
    """An error response: problem+json, or FastAPI's list of rejected fields."""

    type: OptionalText = None
    title: OptionalText = None
    detail: Annotated[
        str | list[FieldProblem] | None, BeforeValidator(objects_of_a_list), Lenient
    ] = None


class WorkspaceList(Page):
    """One page of workspaces (ListWorkspacesOutput)."""

    workspaces: Annotated[list[Workspace], BeforeValidator(objects_with("workspace_id"))]


class PriceEstimate(Response):
    """The price of a run, and the remaining balance (EstimateForgePriceOutput).

    Two fields aren't Layer's: `references_refused` says why Layer didn't price the guidance files
    and the mask, and `remarks` are sentences about what the price leaves out.
    """

    estimated_price_creative_units: Price
    workspace_balance_creative_units: OptionalNumber = None
    estimated_remaining_balance_creative_units: OptionalNumber = None
    has_sufficient_creative_units: Annotated[bool | None, Lenient] = None
    references_refused: str | None = None
    remarks: tuple[str, ...] = ()


class UploadUrl(Response):
    """The signed URL for a file's bytes (RequestUploadUrlResponse)."""

    file_id: RunId
    upload_url: str = Field(min_length=1)
    content_type: OptionalHeader = None


def _with_a_model_id(value: object) -> object:
    """Store a model's ID as `model_id`, because sources use different keys."""
    if not isinstance(value, dict):
        return value
    given = cast("dict[str, object]", value)
    keys = ("model_id", "id", "base_model_id")
    found = [given[key] for key in keys if isinstance(given.get(key), str)]
    return {**given, "model_id": found[0]} if found else given


class ModelSummary(Response):
    """A model in a list (ModelSummary)."""

    model_id: ListedId
    name: OptionalName = None
    modality: OptionalName = None
    base_model_id: OptionalId = None
    description: OptionalText = None
    inference_timing: OptionalName = None

    _any_id = model_validator(mode="before")(_with_a_model_id)


class ModelList(Page):
    """One page of models (ListModelsOutput)."""

    models: Annotated[
        list[ModelSummary], BeforeValidator(objects_with("model_id", "id", "base_model_id"))
    ]


Flag = Annotated[bool | None, Lenient]
Texts = Annotated[list[Name] | None, Lenient]


class ModelCapabilities(Response):
    """The capabilities of a model (ModelCapabilitiesREST); None for what Layer doesn't say."""

    session_modes: Texts = None
    text_prompt: Flag = None
    negative_prompt: Flag = None
    seed: Flag = None
    inpainting: Flag = None
    outpainting: Flag = None
    tileability: Flag = None
    guidance_file_types: Texts = None
    duration_seconds: Annotated[list[NonNegativeNumber] | None, Lenient] = None
    generate_audio: Flag = None
    lipsync: Flag = None
    textures: Flag = None
    quad_mesh: Flag = None
    pbr_materials: Flag = None
    text_to_speech: Flag = None
    sound_effect: Flag = None


class ModelDetail(ModelSummary):
    """A model with its capabilities (ModelDetailREST)."""

    base_model_name: OptionalName = None
    prompt_format: OptionalText = None
    capabilities: Annotated[ModelCapabilities | None, Lenient] = None


class ModelAnswer(Response):
    """The response to GET models/{id}: wrapped in `model` (GetModelRESTOutput), or bare."""

    model: ModelDetail

    @model_validator(mode="before")
    @classmethod
    def _wrapped(cls, value: object) -> object:
        if isinstance(value, dict) and "model" not in value:
            return {"model": cast("dict[str, object]", value)}
        return cast(object, value)


class WorkflowInput(Response):
    """One input of a workflow, with the JSON Schema of its value."""

    name: Name
    type: OptionalName = None
    value_schema: Annotated[dict[str, Any] | None, Lenient] = None
    required: Flag = None
    description: OptionalText = None
    display_name: OptionalName = None
    default: Any = None


class WorkflowOutput(Response):
    """One output of a workflow."""

    name: Name
    type: OptionalName = None
    description: OptionalText = None


class Workflow(Response):
    """A published pipeline of several steps (WorkflowSummary)."""

    workflow_id: ListedId
    name: OptionalName = None
    description: OptionalText = None
    modality: OptionalName = None
    inputs: Annotated[list[WorkflowInput], BeforeValidator(objects_with("name"))] = Field(
        default=[]
    )
    outputs: Annotated[list[WorkflowOutput], BeforeValidator(objects_with("name"))] = Field(
        default=[]
    )


class WorkflowList(Page):
    """One page of workflows (ListWorkflowsOutput)."""

    workflows: Annotated[list[Workflow], BeforeValidator(objects_with("workflow_id"))]


class WorkflowOutputCount(Response):
    """The number of files that an output of a workflow will have (EstimateWorkflowOutputCount)."""

    output: Annotated[WorkflowOutput | None, Lenient] = None
    count: OptionalCount = None


class WorkflowPriceEstimate(PriceEstimate):
    """The price and the outputs of a workflow run (EstimateWorkflowPriceOutput)."""

    output_counts: Annotated[list[WorkflowOutputCount], BeforeValidator(list_of_objects)] = Field(
        default=[]
    )


class StartedWorkflowRun(StartedRun):
    """The response to execute (ExecuteWorkflowOutput): the run exists and will be charged."""

    run_id: RunId


class WorkflowStep(Response):
    """One step of a workflow run (GetWorkflowRunStep)."""

    name: OptionalName = None
    status: StepStatusRead = "unknown"
    error: OptionalText = None
    error_code: OptionalName = None


class WorkflowRun(RunSnapshot):
    """The state of a workflow run (GetWorkflowRunOutput)."""

    run_id: RunId
    steps: Annotated[list[WorkflowStep], BeforeValidator(list_of_objects)] = Field(default=[])
    estimated_price_creative_units: OptionalPrice = None
