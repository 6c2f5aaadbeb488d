"""The prompts: jobs that people start by name, as instructions that an agent follows."""

import difflib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from string import Template
from typing import Literal
from unicodedata import category

from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    GetPromptResult,
    Prompt,
    PromptArgument,
    PromptMessage,
    TextContent,
)

from ..api.fields import is_uuid
from ..errors import LayerError

MAX_ARGUMENT_LENGTH = 1000
MAX_NAME_LENGTH = 60
INVISIBLE_CATEGORIES = ("Cc", "Cf", "Zl", "Zp")
# Line breaks, and the characters that join letters and emoji.
KEPT_CHARACTERS = "\n\u200c\u200d"

IN_BACKTICKS = re.compile(r"`(\w+)`")
TOOLS = frozenset(
    {
        "estimate_price",
        "execute_batch",
        "execute_inference",
        "get_model",
        "get_status",
        "list_models",
        "list_runs",
        "save_outputs",
    }
)


@dataclass(frozen=True)
class Argument:
    """An argument of a prompt.

    The `default` applies if a person leaves the argument out; a host can offer the `choices`. An
    image is the path of a local file, or a file_id.
    """

    name: str
    description: str
    kind: Literal["text", "image", "model", "workspace"] = "text"
    is_required: bool = False
    default: str | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """A job that a person starts by name.

    `models` is the filter of list_models that finds suitable models. `steps` come after finding a
    model; they name tools and arguments in backticks, and `$references` becomes guidance_files with
    the given image as a file of the type `reference`. Files are saved to `folder`.
    """

    name: str
    title: str
    description: str
    goal: str
    arguments: tuple[Argument, ...]
    models: Mapping[str, str | bool]
    steps: tuple[str, ...]
    folder: str
    reference: str = ""

    @property
    def takes_image(self) -> bool:
        """Whether a person gives an image."""
        return any(argument.kind == "image" for argument in self.arguments)

    @property
    def tools(self) -> frozenset[str]:
        """The tools that the job needs."""
        text = "\n".join((_find_model_step(self, has_model=False), *self.steps))
        return TOOLS.intersection(IN_BACKTICKS.findall(text))


def select_jobs(tools: Collection[str], *, saves_by_itself: bool) -> dict[str, Job]:
    """Return the jobs that these tools can do, by name, each with a step that saves the files.

    `saves_by_itself` says that finished runs are saved without save_outputs.
    """
    upload = [step for tool, step in UPLOADS.items() if tool in tools]
    jobs = [
        replace(
            job,
            steps=(
                *(upload if job.takes_image else ()),
                *job.steps,
                _save_step(job, tools, saves_by_itself=saves_by_itself),
            ),
        )
        for job in JOBS
    ]
    return {job.name: job for job in jobs if job.tools <= set(tools)}


def list_prompts(jobs: Mapping[str, Job]) -> list[Prompt]:
    """Return the jobs as prompts that a host can list."""
    return [
        Prompt(
            name=job.name,
            title=job.title,
            description=job.description,
            arguments=[
                PromptArgument(
                    name=argument.name,
                    description=argument.description,
                    required=argument.is_required,
                )
                for argument in job.arguments
            ],
        )
        for job in jobs.values()
    ]


def get_prompt(jobs: Mapping[str, Job], name: str, given: Mapping[str, str]) -> GetPromptResult:
    """Return the message that starts a job with the given arguments.

    Raises:
        MCPError: Invalid params, for an unknown name or a missing or wrong argument.
    """
    job = jobs.get(name)
    if job is None:
        shown = " ".join(name[:MAX_NAME_LENGTH].split())
        sentence = f"Unknown prompt {shown}. Available: {', '.join(jobs) or 'none'}."
        raise MCPError(code=INVALID_PARAMS, message=sentence)
    try:
        text = _render(job, given)
    except LayerError as error:
        raise MCPError(code=INVALID_PARAMS, message=str(error)) from None
    message = PromptMessage(role="user", content=TextContent(type="text", text=text))
    return GetPromptResult(description=job.description, messages=[message])


def _render(job: Job, given: Mapping[str, str]) -> str:
    values = _check_arguments(job, given)
    asked = [
        f"{argument.name}: {_quote(values[argument.name])}"
        for argument in job.arguments
        if argument.name in values and argument.kind == "text"
    ]
    if "workspace_id" in values:
        asked.append(f"Pass `workspace_id` {_quote(values['workspace_id'])} in each call.")
    image = next((values[a.name] for a in job.arguments if a.kind == "image"), "")
    # A file_id is a file that Layer already has.
    job_steps = [step for step in job.steps if step not in UPLOADS.values() or not is_uuid(image)]
    steps = (_find_model_step(job, has_model="model_id" in values), *job_steps)
    numbered = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
    # Only the steps are a template: a person's text may contain a placeholder.
    filled = Template(numbered).substitute(
        references=_references(image, job.reference) if image else "",
        image=_quote(image),
        model_id=_quote(values.get("model_id", "")),
    )
    return "\n".join([job.goal, *asked, "", filled])


def _find_model_step(job: Job, *, has_model: bool) -> str:
    if has_model:
        return "Model: call `get_model` with `model_id` $model_id to see what it uses."
    wanted = " and ".join(f"`{name}` {json.dumps(value)}" for name, value in job.models.items())
    return f"Model: call `list_models` with {wanted}, then `get_model` to see what it uses."


def _save_step(job: Job, tools: Collection[str], *, saves_by_itself: bool) -> str:
    if saves_by_itself:
        return "Save: tell the user where the files are."
    if "save_outputs" not in tools:
        return "Save: give the user the URLs of the files."
    return (
        f'Save: call `save_outputs` for each run with `folder` "{job.folder}". Tell the user the '
        "paths."
    )


def _references(image: str, reference: str) -> str:
    source = "file_id" if is_uuid(image) else "path"
    file = json.dumps([{source: image, "type": reference}], ensure_ascii=False)
    return f"`guidance_files` {file} (`type` as `get_model` names it)"


def _quote(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _check_arguments(job: Job, given: Mapping[str, str]) -> dict[str, str]:
    """Return the given values, cleaned, and the defaults of the arguments that were left out.

    Raises:
        LayerError: INVALID_ARGUMENTS.
    """
    names = [argument.name for argument in job.arguments]
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            suggestion = f' (did you mean "{near[0]}"?)' if near else ""
            raise _refusal(f"{_clean(name)[:MAX_NAME_LENGTH]} is not an argument{suggestion}.")
    values = {argument.name: _value(argument, given) for argument in job.arguments}
    missing = [a.name for a in job.arguments if a.is_required and values[a.name] is None]
    if missing:
        raise _refusal(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing.")
    return {name: value for name, value in values.items() if value is not None}


def _value(argument: Argument, given: Mapping[str, str]) -> str | None:
    text = given.get(argument.name, "").encode(errors="replace").decode()
    # A file name may contain any character.
    value = text.strip() if argument.kind == "image" else _clean(text)
    if value in ("", "null"):
        return argument.default
    if len(value) > MAX_ARGUMENT_LENGTH:
        # Truncating would silently drop the end of a list or a path.
        raise _refusal(f"{argument.name} is longer than {MAX_ARGUMENT_LENGTH} characters.")
    return value


def _clean(text: str) -> str:
    """Replace invisible characters with spaces, then remove extra spaces and empty lines."""
    visible = "".join(
        " " if category(char) in INVISIBLE_CATEGORIES and char not in KEPT_CHARACTERS else char
        for char in text
    )
    lines = (" ".join(line.split()) for line in visible.split("\n"))
    return "\n".join(line for line in lines if line)


def _refusal(sentence: str) -> LayerError:
    return LayerError("INVALID_ARGUMENTS", sentence, next_step="Correct it and try again.")


MODEL = Argument("model_id", "ID of the model. Default: the agent finds one.", kind="model")
WORKSPACE = Argument("workspace_id", "ID, slug, or name of the workspace.", kind="workspace")
A_FILE = "path of a local file, or file_id of an output or upload."
GENERATE = "Generate: call `execute_inference` with the same arguments."

# By tool; a server has one of them.
UPLOADS = {
    "upload_file": "Upload: call `upload_file` with `path` $image, so that the price includes it.",
    "create_upload": "Upload: call `create_upload` for $image, and send the file to its URL. Use "
    "the `file_id` from the response in place of the path.",
}

# In the order in which people see them.
JOBS = (
    Job(
        name="icon_set",
        title="A set of icons",
        description="Icons in one style, made together.",
        goal="Make a set of game icons in one style with Layer.",
        arguments=(
            Argument("subjects", "What the icons show, e.g. sword, shield.", is_required=True),
            Argument("style", "Style of all icons, e.g. pixel art, dark outline."),
            MODEL,
            WORKSPACE,
        ),
        models={"modality": "image"},
        steps=(
            "Price: call `estimate_price` for one icon, with its `prompt`, `width` 512, `height` "
            "512 and `batch_size` 1. Tell the user the price of all.",
            "Generate: call `execute_batch` with the size, `batch_size` 1 and `seed` 7 in "
            "`defaults`, and a `prompt` for each subject in `requests`. Describe style, view, "
            "light and a plain background in the same words each time.",
            'Check: call `list_runs` with its `batch_id` and `wait_for` "all", then `get_status` '
            "for a picture of each. Compare style, size and centering. Make again only those that "
            "don't fit.",
        ),
        folder="icons",
    ),
    Job(
        name="character_sheet",
        title="A character sheet from one picture",
        description="The same character in several views, from one anchor picture.",
        goal="Make a character sheet with Layer. One picture is the anchor for all views.",
        arguments=(
            Argument("anchor", f"The character: {A_FILE}", kind="image", is_required=True),
            Argument("views", "Views or poses.", default="front, three-quarter, side, back"),
            MODEL,
            WORKSPACE,
        ),
        models={"modality": "image", "supports_reference_images": True},
        steps=(
            "Price: call `estimate_price` for one view, with its `prompt`, $references and "
            "`batch_size` 1. Tell the user the price of all.",
            "Generate: call `execute_batch` with $references, `batch_size` 1 and `seed` 7 in "
            "`defaults`, and a `prompt` for each view in `requests`. Describe face, clothes and "
            "colors in the same words each time, on a plain background.",
            'Check: call `list_runs` with its `batch_id` and `wait_for` "all", then `get_status` '
            "for a picture of each. Compare each with the anchor. Make again only those that "
            "don't match.",
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
            Argument("size", "Size in pixels.", default="1024", choices=("512", "1024")),
            MODEL,
            WORKSPACE,
        ),
        models={"modality": "image"},
        steps=(
            "Price: call `estimate_price` with a `prompt`, the size as `width` and `height`, and "
            "`batch_size` 2. Ask for a seamless tiling texture, seen from straight above, in even "
            "light, without shadows, a border or a single eye-catching detail. Tell the user the "
            "price.",
            GENERATE,
            "Check: call `get_status` and look at the edges of both. The left edge must continue "
            "at the right, and the top at the bottom. If neither picture tiles, call "
            "`execute_inference` once more with another `seed`.",
        ),
        folder="textures",
    ),
    Job(
        name="image_to_3d",
        title="A 3D model from a picture",
        description="A mesh of a picture's subject.",
        goal="Make a 3D model from one picture with Layer.",
        arguments=(
            Argument("image", f"The picture: {A_FILE}", kind="image", is_required=True),
            Argument("use", "What the model is for, e.g. low-poly prop in a mobile game."),
            MODEL,
            WORKSPACE,
        ),
        models={"image_to_3d": True},
        steps=(
            "Price: call `estimate_price` with $references and `batch_size` 1, and with "
            "`include_textures`, `pbr_materials`, `low_poly` or `face_limit` if the use needs them "
            "and the model uses them. Tell the user the price.",
            GENERATE,
            "Check: call `get_status` until the run ends. Tell the user the type and size of the "
            "file, because the answer may not include a picture.",
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
            Argument("sound", "What it sounds like, e.g. a heavy door closing.", is_required=True),
            Argument("seconds", "How long it lasts.", default="2", choices=("1", "2", "5")),
            MODEL,
            WORKSPACE,
        ),
        models={"sound_effect": True},
        steps=(
            "Price: call `estimate_price` with a `prompt`, the seconds as `duration_seconds`, and "
            "`batch_size` 2. Describe the sound's source, material, room and ending, with no music "
            "and no voice. Tell the user the price.",
            GENERATE,
            "Check: call `get_status` and compare the length. Let the user listen and choose.",
        ),
        folder="sounds",
    ),
    Job(
        name="upscale_and_cut_out",
        title="Enlarge and cut out a picture",
        description="A larger picture without its background.",
        goal="Enlarge a picture with Layer and cut out its subject.",
        arguments=(
            Argument("image", f"The picture: {A_FILE}", kind="image", is_required=True),
            Argument("factor", "How many times larger.", default="2", choices=("2", "4")),
            MODEL,
            WORKSPACE,
        ),
        models={"modality": "image", "search": "upscale"},
        steps=(
            "Price: call `estimate_price` with $references, the factor as `upscale_ratio`, "
            "`remove_background` true and `batch_size` 1. Tell the user the price.",
            GENERATE,
            "Check: call `get_status` and look at the size and the background. If the background "
            'is still there, call `list_models` with `search` "background", and give the output\'s '
            "`file_id` to a model that removes it.",
        ),
        folder="cut-outs",
        reference="init",
    ),
)
