"""What a model can do, and whether that is what a list request asks for."""

from ..api.models import ModelQuery
from .catalog import SandboxModel

FLAGS = ("inpainting", "outpainting", "generate_audio", "text_to_speech", "sound_effect")
PICTURE_REFERENCES = ("reference_image", "init", "editing_reference")


def matches(model: SandboxModel, query: ModelQuery) -> bool:
    """Whether a model passes the filters of a list request."""
    if query.modality not in (None, model.modality):
        return False
    if (query.search or "").lower() not in f"{model.name} {model.description}".lower():
        return False
    return all(
        getattr(query, name) in (None, able) for name, able in _answers_to_filters(model).items()
    )


def _answers_to_filters(model: SandboxModel) -> dict[str, bool]:
    modes = model.capabilities.get("session_modes", [])
    references = model.capabilities.get("guidance_file_types", [])
    pictures = any(kind in references for kind in PICTURE_REFERENCES)
    mesh = "create_3_d" in modes
    return {
        **{name: bool(model.capabilities.get(name)) for name in FLAGS},
        "supports_reference_images": pictures,
        "text_to_3d": mesh and bool(model.capabilities.get("text_prompt")),
        "image_to_3d": mesh and pictures,
    }
