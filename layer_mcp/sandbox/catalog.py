"""The models that the sandbox offers, and what their runs cost."""

from collections.abc import Iterable
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
SECONDS_A_WORD = 0.4
DEFAULT_UPSCALE_RATIO, MAX_UPSCALE_RATIO = 2.0, 4.0


@dataclass(frozen=True)
class SandboxModel:
    """A model: what it is called, what it makes, what it can do."""

    model_id: str
    name: str
    modality: Literal["image", "video", "three_d", "audio"]
    kind: Kind
    description: str
    inference_timing: str
    capabilities: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def upscales(self) -> bool:
        """Whether it enlarges a picture instead of drawing one."""
        return "upscale" in self.capabilities.get("session_modes", [])


def sandbox_models() -> tuple[SandboxModel, ...]:
    """Every model of the sandbox, in the order in which it lists them."""
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
            description="A picture of yours, enlarged. Needs a guidance file of type init.",
            inference_timing="3-5s",
            capabilities={"session_modes": ["upscale"], "guidance_file_types": ["init"]},
        ),
    )


def models_in_words(models: Iterable[SandboxModel]) -> str:
    """The models as one line for an agent or a person."""
    return "; ".join(f"{model.model_id} {model.modality}" for model in models)


def one_of_each_modality(models: Iterable[SandboxModel]) -> list[SandboxModel]:
    """The first model of each modality."""
    first: dict[str, SandboxModel] = {}
    for model in models:
        first.setdefault(model.modality, model)
    return list(first.values())


def normalized_parameters(model: SandboxModel, request: InferenceRequest) -> dict[str, Any]:
    """What will really run (NormalizedInferenceParameters); unused parameters are null."""
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
    """How many times larger an upscaled picture gets."""
    return min(max(request.upscale_ratio or DEFAULT_UPSCALE_RATIO, 1.0), MAX_UPSCALE_RATIO)


def price_creative_units(model: SandboxModel, request: InferenceRequest) -> float:
    """The price of a run: by outputs, size, quality, length and references."""
    references = len(request.guidance_files) + (1 if request.mask else 0)
    each = _price_of_one(model, request) + 0.2 * references
    return round(request.batch_size * each, 2)


def _price_of_one(model: SandboxModel, request: InferenceRequest) -> float:
    parameters = normalized_parameters(model, request)
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
    return round(max(words * SECONDS_A_WORD / (request.speed or 1.0), SECONDS_A_WORD), 2)
