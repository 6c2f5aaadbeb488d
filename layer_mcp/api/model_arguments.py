"""Which fields of a generation request a model uses, according to Layer's facts about the model."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from .models import InferenceRequest, Modality, ModelCapabilities, ModelDetail

ALWAYS_USED = frozenset(("model_id", "batch_size", "session_name"))

EVERY_MODALITY: frozenset[str] = frozenset(get_args(Modality))
IMAGE = frozenset(("image",))
VIDEO = frozenset(("video",))
THREE_D = frozenset(("three_d",))
AUDIO = frozenset(("audio",))
VISUAL = IMAGE | VIDEO

# From the published descriptions of the fields (ExecuteInferenceRequest).
MODALITIES_BY_FIELD = {
    "prompt": EVERY_MODALITY,
    "width": VISUAL,
    "height": VISUAL,
    "num_inference_steps": VISUAL,
    "guidance_scale": VISUAL,
    "prompt_strength": IMAGE | AUDIO,
    "quality": VISUAL | THREE_D,
    "sharpness": VISUAL,
    "duration_seconds": VIDEO | AUDIO,
    "generate_audio": VIDEO,
    "keep_audio": VIDEO,
    "fps": VIDEO,
    "video_effects": VIDEO,
    "use_ta_pose": THREE_D,
    "include_textures": THREE_D,
    "quad_mesh": THREE_D,
    "pbr_materials": THREE_D,
    "low_poly": THREE_D,
    "generate_parts": THREE_D,
    "face_limit": THREE_D,
    "stability": AUDIO,
    "use_speaker_boost": AUDIO,
    "similarity_boost": AUDIO,
    "style_exaggeration": AUDIO,
    "speed": AUDIO,
    "upscale_ratio": VISUAL,
    "creativity": VISUAL,
    "resemblance": VISUAL,
    "vectorize": IMAGE,
    "remove_background": VISUAL,
    "reframe": VISUAL,
    "refill": IMAGE,
    "seed": EVERY_MODALITY,
    "guidance_files": EVERY_MODALITY,
    "mask": IMAGE,
}
SPEECH_FIELDS = (
    "stability",
    "use_speaker_boost",
    "similarity_boost",
    "style_exaggeration",
    "speed",
)

MODALITY_BY_MODE = {
    "prompt_edit_image": "image",
    "create_video": "video",
    "create_3_d": "three_d",
    "create_speech": "audio",
    "create_sound_effect": "audio",
}
# Layer renamed some reference types, and models list either name.
TYPES_OF_TWO_NAMES = (
    frozenset(("init", "init_image")),
    frozenset(("reference_image", "ip_adapter")),
    frozenset(("audio", "init_audio", "reference_audio")),
    frozenset(("init_video", "reference_video")),
)
# Modes whose name implies that they start from a file.
STARTS_OF_MODES_WITH_INPUT = ("prompt_edit_image", "upscale", "image_to_", "video_to_")


@dataclass(frozen=True)
class ArgumentUse:
    """The fields of InferenceRequest in three groups, each in the request's order.

    Each field is in one group. `notes` are short sentences about the fields' values.
    """

    uses: tuple[str, ...]
    may_use: tuple[str, ...]
    ignores: tuple[str, ...]
    notes: tuple[str, ...]


def argument_use(model: ModelDetail, name_of: Callable[[str], str] = str) -> ArgumentUse:
    """Return the arguments that a model uses, may use, and ignores.

    A capability, if there is one, decides. Otherwise, an argument of another modality is ignored,
    and any other may be used. If the model's modality is missing or unknown, all may be used. The
    notes use the names that `name_of` returns.
    """
    capabilities = model.capabilities or ModelCapabilities()
    declared = _declared_fields(capabilities)
    modalities = _modalities(model, capabilities)
    groups: dict[str, list[str]] = {"uses": [], "may_use": [], "ignores": []}
    for name in InferenceRequest.model_fields:
        groups[_group(name, declared.get(name), modalities)].append(name)
    return ArgumentUse(
        uses=tuple(groups["uses"]),
        may_use=tuple(groups["may_use"]),
        ignores=tuple(groups["ignores"]),
        notes=_notes(capabilities, groups["may_use"], name_of),
    )


def find_ignored(model: ModelDetail, given: Iterable[str]) -> tuple[str, ...]:
    """Return the given arguments that a model ignores, in the request's order."""
    names = set(given)
    return tuple(name for name in argument_use(model).ignores if name in names)


def takes_type(types: Iterable[str], wanted: str) -> bool:
    """Return whether a model that lists these reference types accepts one of this type."""
    known = {name.strip().lower() for name in types}
    others = {name for names in TYPES_OF_TWO_NAMES if wanted in names for name in names}
    return not known.isdisjoint({wanted, *others})


def _group(name: str, declared: bool | None, modalities: frozenset[str]) -> str:
    if name in ALWAYS_USED or declared:
        return "uses"
    fits = modalities & MODALITIES_BY_FIELD.get(name, EVERY_MODALITY)
    return "may_use" if declared is None and fits else "ignores"


def _declared_fields(capabilities: ModelCapabilities) -> dict[str, bool | None]:
    """Return whether the capabilities declare each field, or None if they don't say."""
    types, durations = capabilities.guidance_file_types, capabilities.duration_seconds
    return {
        "prompt": capabilities.text_prompt,
        "seed": capabilities.seed,
        "mask": _either(capabilities.inpainting, capabilities.outpainting),
        "guidance_files": None if types is None else bool(types),
        # An empty list means that no lengths are listed, not that a length isn't accepted.
        "duration_seconds": True if durations else None,
        "generate_audio": capabilities.generate_audio,
        "include_textures": capabilities.textures,
        "quad_mesh": capabilities.quad_mesh,
        "pbr_materials": capabilities.pbr_materials,
        **dict.fromkeys(SPEECH_FIELDS, _speaks(capabilities)),
    }


def _either(one: bool | None, other: bool | None) -> bool | None:
    """Return True if either is true, False if both are false, else None."""
    if one or other:
        return True
    return None if one is None or other is None else False


def _speaks(capabilities: ModelCapabilities) -> bool | None:
    modes = _modes(capabilities)
    if capabilities.text_to_speech or "create_speech" in modes:
        return True
    return False if modes == {"create_sound_effect"} else capabilities.text_to_speech


def _modalities(model: ModelDetail, capabilities: ModelCapabilities) -> frozenset[str]:
    """Return what the model and its modes make, or every modality if the model's is unknown."""
    modality = (model.modality or "").strip().lower()
    if modality not in EVERY_MODALITY:
        return EVERY_MODALITY
    of_modes = (MODALITY_BY_MODE.get(mode, modality) for mode in _modes(capabilities))
    return frozenset((modality, *of_modes))


def _modes(capabilities: ModelCapabilities) -> set[str]:
    return {mode.strip().lower() for mode in capabilities.session_modes or ()}


def _notes(
    capabilities: ModelCapabilities, may_use: list[str], name_of: Callable[[str], str]
) -> tuple[str, ...]:
    files, background = name_of("guidance_files"), name_of("remove_background")
    types = ", ".join(capabilities.guidance_file_types or ())
    durations = _alternatives(capabilities.duration_seconds or ())
    may_ignore = "remove_background" in may_use
    notes = [
        f"Needs an input file in {files}." if _needs_input(capabilities) else None,
        f"{files} types: {types}." if types else None,
        f"{name_of('duration_seconds')}: {durations}." if durations else None,
        f"Some models ignore {background} silently: look at the output." if may_ignore else None,
    ]
    return tuple(note for note in notes if note)


def _needs_input(capabilities: ModelCapabilities) -> bool:
    modes = _modes(capabilities)
    return bool(modes) and all(mode.startswith(STARTS_OF_MODES_WITH_INPUT) for mode in modes)


def _alternatives(numbers: Sequence[float]) -> str:
    *first, last = [f"{number:g}" for number in numbers] or [""]
    return f"{', '.join(first)} or {last}" if first else last
