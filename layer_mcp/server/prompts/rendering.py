"""A job with the arguments that a person gave, as the text that an agent reads."""

import difflib
import json
from collections.abc import Collection, Mapping, Sequence
from string import Template
from unicodedata import category

from ...api.fields import is_uuid
from ...errors import LayerError
from .job import Argument, Job, Step

MAX_ARGUMENT_LENGTH = 1000
MAX_NAME_LENGTH = 60
INVISIBLE = ("Cc", "Cf", "Zl", "Zp")
KEPT = "\n\u200c\u200d"

NO_SAVING = Step((), "Save: give the user the URLs of the files.")
SAVED = Step((), "Save: tell the user where the files are.")


def steps_of(job: Job, tools: Collection[str], *, saves_by_itself: bool) -> tuple[Step, ...]:
    """The steps of a job on a server with these tools, without the first, which finds a model.

    `saves_by_itself` says that finished runs are saved without save_outputs.
    """
    if saves_by_itself:
        return (*job.steps, SAVED)
    if "save_outputs" not in tools:
        return (*job.steps, NO_SAVING)
    text = (
        f'Save: call `save_outputs` for each run with `folder` "{job.folder}". Tell the user the '
        "paths."
    )
    return (*job.steps, Step(("save_outputs",), text))


def text_of(job: Job, steps: Sequence[Step], given: Mapping[str, str]) -> str:
    """What the agent reads: the goal, what was asked for, and `steps` after that of the model.

    Raises:
        LayerError: INVALID_ARGUMENTS, for an argument that is missing or not one.
    """
    values = checked(job, given)
    asked = [
        f"{argument.name}: {_quoted(values[argument.name])}"
        for argument in job.arguments
        if argument.name in values and argument.kind == "text"
    ]
    if "workspace_id" in values:
        asked.append(f"Give each call `workspace_id` {_quoted(values['workspace_id'])}.")
    numbered = "\n".join(
        f"{number}. {step.text}"
        for number, step in enumerate((finding(job, has_model="model_id" in values), *steps), 1)
    )
    images = [values[a.name] for a in job.arguments if a.kind == "image"]
    # Only here: what a person wrote may look like a placeholder.
    filled = Template(numbered).substitute(
        references=_references(images[0], job.reference) if images else "",
        model_id=_quoted(values.get("model_id", "")),
    )
    return "\n".join([job.goal, *asked, "", filled])


def finding(job: Job, *, has_model: bool) -> Step:
    """How the agent comes to a model: the one that was given, else one that can do the job."""
    if has_model:
        text = "Model: call `get_model` with `model_id` $model_id for what it uses."
        return Step(("get_model",), text)
    found = " and ".join(f"`{name}` {json.dumps(value)}" for name, value in job.models.items())
    text = f"Model: call `list_models` with {found}, then `get_model` for what the model uses."
    return Step(("list_models", "get_model"), text)


def checked(job: Job, given: Mapping[str, str]) -> dict[str, str]:
    """The values of the arguments: tidied, bounded, with the defaults of what was left out.

    Raises:
        LayerError: INVALID_ARGUMENTS.
    """
    names = [argument.name for argument in job.arguments]
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            suggestion = f' (did you mean "{near[0]}"?)' if near else ""
            raise _refused(f"{tidy(name)[:MAX_NAME_LENGTH]} is not an argument{suggestion}.")
    values = {argument.name: _value(argument, given) for argument in job.arguments}
    missing = [a.name for a in job.arguments if a.is_required and values[a.name] is None]
    if missing:
        raise _refused(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing.")
    return {name: value for name, value in values.items() if value is not None}


def tidy(text: str) -> str:
    """A person's text without what cannot be seen, but for line breaks and what joins letters."""
    visible = "".join(
        " " if category(char) in INVISIBLE and char not in KEPT else char for char in text
    )
    return "\n".join(
        line for line in (" ".join(each.split()) for each in visible.split("\n")) if line
    )


def _value(argument: Argument, given: Mapping[str, str]) -> str | None:
    text = given.get(argument.name, "").encode(errors="replace").decode()
    # The name of a file may have anything in it.
    value = text.strip() if argument.kind == "image" else tidy(text)
    if value in ("", "null"):
        return argument.default
    if len(value) > MAX_ARGUMENT_LENGTH:
        # Cut, the end of a list or of a path would be lost without a word.
        raise _refused(f"{argument.name} is longer than {MAX_ARGUMENT_LENGTH} characters.")
    return value


def _references(image: str, reference: str) -> str:
    source = "file_id" if is_uuid(image) else "path"
    file = json.dumps([{source: image, "type": reference}], ensure_ascii=False)
    return f"`guidance_files` {file} (`type` as `get_model` names it)"


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _refused(sentence: str) -> LayerError:
    return LayerError("INVALID_ARGUMENTS", sentence, next_step="Correct it and ask again.")
