"""The sandbox's models and workflows, and the prices of their runs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..api.models import InferenceRequest

Kind = Literal["png", "webp", "mp4", "glb", "wav"]

CONTENT_TYPES: dict[Kind, str] = {
    "png": "image/png",
    "webp": "image/webp",
    "mp4": "video/mp4",
    "glb": "model/gltf-binary",
    "wav": "audio/wav",
}
QUALITY_FACTORS = {"low": 0.5, "medium": 1.0, "high": 2.0, None: 1.0}
DEFAULT_SIZE = 1024
MIN_SIZE, MAX_SIZE, SIZE_STEP = 64, 2048, 8
CLIP_SECONDS = 2.0
MAX_SOUND_SECONDS = 10.0
SECONDS_PER_WORD = 0.4
DEFAULT_UPSCALE_RATIO, MAX_UPSCALE_RATIO = 2.0, 4.0
REFERENCE_CREATIVE_UNITS = 0.2
PROMPT_SCHEMA = {"type": "string", "minLength": 1, "maxLength": 10_000}
FILE_SCHEMA = {"type": "string", "format": "uuid"}


@dataclass(frozen=True)
class SandboxModel:
    """A model: its name, the kind of file it makes, and its capabilities."""

    model_id: str
    name: str
    modality: Literal["image", "video", "three_d", "audio"]
    kind: Kind
    description: str
    inference_timing: str
    capabilities: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def upscales(self) -> bool:
        """Return whether the model enlarges an image instead of drawing one."""
        return "upscale" in self.capabilities.get("session_modes", [])


@dataclass(frozen=True)
class SandboxWorkflowInput:
    """An input: its name, the JSON Schema of its value, and whether it's required."""

    name: str
    type: Literal["string", "integer", "file"]
    value_schema: dict[str, Any]
    description: str
    required: bool = False
    default: str | int | None = None


@dataclass(frozen=True)
class SandboxWorkflow:
    """A pipeline of steps that makes files of one kind."""

    workflow_id: str
    name: str
    description: str
    modality: Literal["image", "video"]
    output_name: str
    output_description: str
    creative_units_per_output: float
    steps: tuple[str, ...]
    inputs: tuple[SandboxWorkflowInput, ...]


def sandbox_models() -> tuple[SandboxModel, ...]:
    """Return every model of the sandbox, in the order of its list."""
    return (
        SandboxModel(
            model_id="00000000-0000-4000-8000-000000000001",
            name="Sandbox Image",
            modality="image",
            kind="png",
            description="PNG pictures drawn from the prompt, the seed and the size.",
            inference_timing="3-5s",
            capabilities={
                "session_modes": ["create", "prompt_edit_image"],
                "text_prompt": True,
                "seed": True,
                "inpainting": True,
                "outpainting": True,
                "guidance_file_types": ["init", "reference_image", "editing_reference"],
            },
        ),
        SandboxModel(
            model_id="00000000-0000-4000-8000-000000000002",
            name="Sandbox Image Fast",
            modality="image",
            kind="webp",
            description="The same pictures as WebP.",
            inference_timing="3-5s",
            capabilities={"session_modes": ["create"], "text_prompt": True, "seed": True},
        ),
        SandboxModel(
            model_id="00000000-0000-4000-8000-000000000003",
            name="Sandbox Video",
            modality="video",
            kind="mp4",
            description="One short clip, whatever the prompt.",
            inference_timing="3-5s",
            capabilities={
                "session_modes": ["create_video"],
                "text_prompt": True,
                "guidance_file_types": ["first_frame"],
                "duration_seconds": [2],
                "generate_audio": True,
            },
        ),
        SandboxModel(
            model_id="00000000-0000-4000-8000-000000000004",
            name="Sandbox 3D",
            modality="three_d",
            kind="glb",
            description="A small turned mesh as GLB.",
            inference_timing="3-5s",
            capabilities={
                "session_modes": ["create_3_d"],
                "text_prompt": True,
                "seed": True,
                "guidance_file_types": ["reference_image"],
                "textures": True,
            },
        ),
        SandboxModel(
            model_id="00000000-0000-4000-8000-000000000005",
            name="Sandbox Sound",
            modality="audio",
            kind="wav",
            description="A short chime as WAV.",
            inference_timing="3-5s",
            capabilities={
                "session_modes": ["create_sound_effect"],
                "text_prompt": True,
                "seed": True,
                "sound_effect": True,
            },
        ),
        SandboxModel(
            model_id="00000000-0000-4000-8000-000000000006",
            name="Sandbox Speech",
            modality="audio",
            kind="wav",
            description="A chime that lasts as long as the text takes to say, as WAV.",
            inference_timing="3-5s",
            capabilities={
                "session_modes": ["create_speech"],
                "text_prompt": True,
                "seed": True,
                "text_to_speech": True,
            },
        ),
        SandboxModel(
            model_id="00000000-0000-4000-8000-000000000007",
            name="Sandbox Upscale",
            modality="image",
            kind="png",
            description="Enlarges your picture. Needs a guidance file of type init.",
            inference_timing="3-5s",
            capabilities={"session_modes": ["upscale"], "guidance_file_types": ["init"]},
        ),
    )


def sandbox_workflows() -> tuple[SandboxWorkflow, ...]:
    """Return every workflow of the sandbox, in the order of its list."""
    prompt = SandboxWorkflowInput("prompt", "string", PROMPT_SCHEMA, "What to make.", required=True)
    return (
        SandboxWorkflow(
            workflow_id="00000000-0000-4000-8000-0000000000c1",
            name="Icon set",
            description="Icons in one style, cut out and scaled.",
            modality="image",
            output_name="icons",
            output_description="The icons as PNG.",
            creative_units_per_output=0.5,
            steps=("Draw", "Cut out", "Scale"),
            inputs=(
                prompt,
                SandboxWorkflowInput(
                    "count",
                    "integer",
                    {"type": "integer", "minimum": 1, "maximum": 4},
                    "How many icons.",
                    default=2,
                ),
                SandboxWorkflowInput(
                    "style_reference", "file", FILE_SCHEMA, "A picture to take the colors from."
                ),
            ),
        ),
        SandboxWorkflow(
            workflow_id="00000000-0000-4000-8000-0000000000c2",
            name="Turntable clip",
            description="A short video that shows an object from all sides.",
            modality="video",
            output_name="clip",
            output_description="The video as MP4.",
            creative_units_per_output=3.0,
            steps=("Pose", "Turn", "Encode"),
            inputs=(
                prompt,
                SandboxWorkflowInput(
                    "image", "file", FILE_SCHEMA, "The object to show.", required=True
                ),
                SandboxWorkflowInput(
                    "mood",
                    "string",
                    {"type": "string", "enum": ["calm", "bright"]},
                    "How it is lit.",
                ),
            ),
        ),
    )


def models_in_words(models: Iterable[SandboxModel]) -> str:
    """Describe the models in one line for an agent or a person."""
    return "; ".join(f"{model.model_id} {model.modality}" for model in models)


def one_of_each_modality(models: Iterable[SandboxModel]) -> list[SandboxModel]:
    """Return the first model of each modality."""
    first: dict[str, SandboxModel] = {}
    for model in models:
        first.setdefault(model.modality, model)
    return list(first.values())


def normalize_parameters(model: SandboxModel, request: InferenceRequest) -> dict[str, Any]:
    """Return the parameters that a run uses (NormalizedInferenceParameters), or None if unused."""
    drawn = model.modality == "image" and not model.upscales
    sized = drawn or model.modality == "video"
    guidance_scale = 3.5 if request.guidance_scale is None else request.guidance_scale
    return {
        "width": _size(request.width) if sized else None,
        "height": _size(request.height) if sized else None,
        "batch_size": request.batch_size,
        "num_inference_steps": (request.num_inference_steps or 28) if drawn else None,
        "guidance_scale": guidance_scale if drawn else None,
        "duration_seconds": _duration_seconds(model, request),
        "fps": 12 if model.modality == "video" else None,
    }


def upscale_ratio(request: InferenceRequest) -> float:
    """Return how many times larger an upscaled picture gets."""
    return min(max(request.upscale_ratio or DEFAULT_UPSCALE_RATIO, 1.0), MAX_UPSCALE_RATIO)


def price_creative_units(model: SandboxModel, request: InferenceRequest) -> float:
    """Return the price of a run: by outputs, size, quality, duration and references."""
    references = len(request.guidance_files) + (1 if request.mask else 0)
    price_per_output = _price_per_output(model, request) + REFERENCE_CREATIVE_UNITS * references
    return round(request.batch_size * price_per_output, 2)


def output_count(inputs: Mapping[str, Any]) -> int:
    """Return how many files a run with these inputs makes."""
    return int(inputs.get("count", 1))


def workflow_price_creative_units(workflow: SandboxWorkflow, inputs: Mapping[str, Any]) -> float:
    """Return the price of a workflow run: by outputs and by files in its inputs."""
    files = [item for item in workflow.inputs if item.type == "file" and item.name in inputs]
    price = output_count(inputs) * workflow.creative_units_per_output
    return round(price + len(files) * REFERENCE_CREATIVE_UNITS, 2)


def _price_per_output(model: SandboxModel, request: InferenceRequest) -> float:
    parameters = normalize_parameters(model, request)
    if model.upscales:
        return 0.1 * upscale_ratio(request)
    if model.modality == "image":
        megapixels = parameters["width"] * parameters["height"] / 1_000_000
        return 0.1 * megapixels * QUALITY_FACTORS[request.quality]
    if model.modality == "video":
        return 1.0 * parameters["duration_seconds"]
    if model.modality == "audio":
        return 0.05 * parameters["duration_seconds"]
    return 2.0


def _size(asked: int | None) -> int:
    size = min(max(asked or DEFAULT_SIZE, MIN_SIZE), MAX_SIZE)
    return round(size / SIZE_STEP) * SIZE_STEP


def _duration_seconds(model: SandboxModel, request: InferenceRequest) -> float | None:
    if model.modality == "video":
        return CLIP_SECONDS
    if model.modality == "audio":
        seconds = request.duration_seconds or 2.0
        if model.capabilities.get("text_to_speech"):
            seconds = _spoken_seconds(request)
        return min(seconds, MAX_SOUND_SECONDS)
    return None


def _spoken_seconds(request: InferenceRequest) -> float:
    words = len((request.prompt or "").split()) or 1
    return round(max(words * SECONDS_PER_WORD / (request.speed or 1.0), SECONDS_PER_WORD), 2)
