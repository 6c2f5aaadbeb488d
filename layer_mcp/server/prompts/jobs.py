"""The jobs, in the order in which people see them."""

from .job import Argument, Job, Step

MODEL = Argument("model_id", "Model to use. Left out, one is found.", kind="model")
WORKSPACE = Argument("workspace_id", "Id, slug or name of the workspace.", kind="workspace")
A_FILE = "path of a local file, or file_id of an output or upload."

GENERATE = Step(
    ("execute_inference",), "Generate: call `execute_inference` with the same arguments."
)


def jobs() -> tuple[Job, ...]:
    """All of them, whatever tools the server has."""
    return (
        Job(
            name="icon_set",
            title="A set of icons",
            description="Icons in one style, made together.",
            goal="Make a set of game icons in one style with Layer.",
            arguments=(
                Argument("subjects", "What the icons show, e.g. sword, shield.", is_required=True),
                Argument("style", "The look of all of them, e.g. pixel art, dark outline."),
                MODEL,
                WORKSPACE,
            ),
            models={"modality": "image"},
            steps=(
                Step(
                    ("estimate_price",),
                    "Price: call `estimate_price` for one icon, with its `prompt`, `width` 512, "
                    "`height` 512 and `batch_size` 1. Tell the user the price of all.",
                ),
                Step(
                    ("execute_batch",),
                    "Generate: call `execute_batch` with the size, `batch_size` 1 and `seed` 7 in "
                    "`defaults`, and a `prompt` for each subject in `requests`. Give every prompt "
                    "the same words for style, view, light and a plain background.",
                ),
                Step(
                    ("list_runs", "get_status"),
                    'Check: call `list_runs` with its `batch_id` and `wait_for` "all", then '
                    "`get_status` for a picture of each. Compare style, size and centring. Make "
                    "only those again that do not fit.",
                ),
            ),
            folder="icons",
        ),
        Job(
            name="character_sheet",
            title="A character sheet from one picture",
            description="The same character in several views, from one anchor picture.",
            goal="Make a character sheet with Layer: one picture is the anchor of all views.",
            arguments=(
                Argument("anchor", f"The character: {A_FILE}", kind="image", is_required=True),
                Argument("views", "Views or poses.", default="front, three-quarter, side, back"),
                MODEL,
                WORKSPACE,
            ),
            models={"modality": "image", "supports_reference_images": True},
            steps=(
                Step(
                    ("estimate_price",),
                    "Price: call `estimate_price` for one view, with its `prompt`, $references and "
                    "`batch_size` 1. Tell the user the price of all.",
                ),
                Step(
                    ("execute_batch",),
                    "Generate: call `execute_batch` with $references, `batch_size` 1 and `seed` 7 "
                    "in `defaults`, and a `prompt` for each view in `requests`. Describe face, "
                    "clothes and colours in the same words each time, on a plain background.",
                ),
                Step(
                    ("list_runs", "get_status"),
                    'Check: call `list_runs` with its `batch_id` and `wait_for` "all", then '
                    "`get_status` for a picture of each. Compare each with the anchor. Make only "
                    "those again that do not match.",
                ),
            ),
            folder="characters",
            reference="reference_image",
        ),
        Job(
            name="tiling_texture",
            title="A tiling texture",
            description="A square texture that repeats without seams.",
            goal="Make a texture with Layer that repeats without visible seams.",
            arguments=(
                Argument("material", "What it shows, e.g. mossy cobblestone.", is_required=True),
                Argument("size", "Pixels of an edge.", default="1024", choices=("512", "1024")),
                MODEL,
                WORKSPACE,
            ),
            models={"modality": "image"},
            steps=(
                Step(
                    ("estimate_price",),
                    "Price: call `estimate_price` with a `prompt`, the size as `width` and "
                    "`height`, and `batch_size` 2. Ask for a seamless tiling texture, seen from "
                    "straight above, in even light, without shadows, border or single eye-catcher. "
                    "Tell the user the price.",
                ),
                GENERATE,
                Step(
                    ("get_status", "execute_inference"),
                    "Check: call `get_status` and look at the edges of both: left must go on at "
                    "right, top at bottom. If neither does, call `execute_inference` once more "
                    "with another `seed`.",
                ),
            ),
            folder="textures",
        ),
        Job(
            name="image_to_3d",
            title="A 3D model from a picture",
            description="A mesh of what a picture shows.",
            goal="Make a 3D model from one picture with Layer.",
            arguments=(
                Argument("image", f"The picture: {A_FILE}", kind="image", is_required=True),
                Argument("use", "What the model is for, e.g. low-poly prop in a mobile game."),
                MODEL,
                WORKSPACE,
            ),
            models={"image_to_3d": True},
            steps=(
                Step(
                    ("estimate_price",),
                    "Price: call `estimate_price` with $references and `batch_size` 1, and with "
                    "`include_textures`, `pbr_materials`, `low_poly` or `face_limit` where the use "
                    "wants them and the model uses them. Tell the user the price.",
                ),
                GENERATE,
                Step(
                    ("get_status",),
                    "Check: call `get_status` until it has ended. Tell the user the type and size "
                    "of the file: the answer may have no picture of it.",
                ),
            ),
            folder="meshes",
            reference="reference_image",
        ),
        Job(
            name="sound_effect",
            title="A sound effect",
            description="A short sound for a game.",
            goal="Make a sound effect with Layer.",
            arguments=(
                Argument("sound", "What is heard, e.g. a heavy door closes.", is_required=True),
                Argument("seconds", "How long it lasts.", default="2", choices=("1", "2", "5")),
                MODEL,
                WORKSPACE,
            ),
            models={"sound_effect": True},
            steps=(
                Step(
                    ("estimate_price",),
                    "Price: call `estimate_price` with a `prompt`, the seconds as "
                    "`duration_seconds`, and `batch_size` 2. Name source, material, room and "
                    "ending of the sound; no music, no voice. Tell the user the price.",
                ),
                GENERATE,
                Step(
                    ("get_status",),
                    "Check: call `get_status` and compare the length. Let the user choose by ear.",
                ),
            ),
            folder="sounds",
        ),
        Job(
            name="upscale_and_cut_out",
            title="Enlarge and cut out a picture",
            description="A picture made larger, its background taken away.",
            goal="Enlarge a picture with Layer and cut out its subject.",
            arguments=(
                Argument("image", f"The picture: {A_FILE}", kind="image", is_required=True),
                Argument("factor", "How many times larger.", default="2", choices=("2", "4")),
                MODEL,
                WORKSPACE,
            ),
            models={"modality": "image", "search": "upscale"},
            steps=(
                Step(
                    ("estimate_price",),
                    "Price: call `estimate_price` with $references, the factor as "
                    "`upscale_ratio`, `remove_background` true and `batch_size` 1. Tell the user "
                    "the price.",
                ),
                GENERATE,
                Step(
                    ("get_status", "list_models"),
                    "Check: call `get_status` and look at the size and the background. If the "
                    'background is still there, call `list_models` with `search` "background", '
                    "and give the output's `file_id` to a model that cuts out.",
                ),
            ),
            folder="cut-outs",
            reference="init",
        ),
    )
