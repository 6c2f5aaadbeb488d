"""Parsing and validation of arguments of tools and commands; errors fit in one short sentence."""

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from .errors import Argument, LayerError, MessagePart
from .schema import JsonObject

MAX_PROBLEMS_NAMED = 3
# What some clients send for an argument that was not given, apart from null.
ABSENT = ("", "null")
AN_ID = "must be an ID such as 0f8fad5b-d9cb-469f-a165-70867728950e"
RULES = {
    "missing": "is missing",
    "string_pattern_mismatch": AN_ID,
    "uuid": AN_ID,
    "string_type": "must be text",
    "string_unicode": "must be text in Unicode",
    "model_type": "must be an object",
    "list_type": "must be a list",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "number": "must be a number",
    "int_parsing_size": "is too large",
    "too_large": "must be smaller",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
}
# What other services call an argument, in lowercase without underscores.
SYNONYMS = {
    "batch_size": "n count num quantity batch batchcount numimages imagecount numberofimages "
    "numoutputs numberofoutputs outputcount samples numsamples variations",
    "width height": "aspectratio ratio dimensions resolution size imagesize outputsize",
    "num_inference_steps": "steps numsteps samplingsteps inferencesteps",
    "guidance_scale": "cfg cfgscale guidance",
    "prompt_strength weight": "strength denoise denoisingstrength imagestrength influence",
    "duration_seconds": "duration length seconds videolength",
    "fps": "framerate framespersecond",
    "guidance_files path": "image images imagepath imageurl imageurls initimage inputimage "
    "inputimages startimage styleimage controlimage firstframe lastframe reference references "
    "referenceimage referenceimages referencefiles",
    "path": "file filepath localpath",
    "mask": "maskimage maskpath inpaintmask",
    "prompt": "description text caption instruction textprompt userprompt",
    "prompt search": "query keywords q",
    "model_id": "model modelname",
    "seed": "randomseed noiseseed",
    "remove_background": "transparent transparency transparentbackground backgroundremoval",
    "generate_audio": "audio sound withaudio",
    "upscale_ratio": "scale scalefactor upscale upscalefactor",
    "face_limit": "polycount maxfaces targetpolycount",
    "vectorize": "svg vector",
    "name path": "filename outputname",
    "folder": "directory dir outputdir outputfolder",
    "inference_id": "id jobid taskid requestid predictionid generationid runid",
    "max_price_creative_units": "maxcost maxprice budget",
    "wait_seconds": "timeout timeoutseconds wait",
    "workspace_id": "workspace project projectid",
}
NAMES_ELSEWHERE = {
    synonym: tuple(names.split())
    for names, synonyms in SYNONYMS.items()
    for synonym in synonyms.split()
}
# Names that another service has and Layer has no argument for.
NO_SUCH_ARGUMENT = {"negativeprompt": 'describe what to avoid in "prompt"'}
# Below this, a name is rather another one than a misspelt one.
LEAST_LIKENESS = 0.75
PYDANTIC_SUBJECT = re.compile(r"^(Input|String|List|Value|Dictionary) should ")

ModelT = TypeVar("ModelT", bound=BaseModel)


def parse_arguments(model: type[ModelT], schema: JsonObject, arguments: JsonObject) -> ModelT:
    """Validate arguments and return them as a model.

    Because of what some clients send, `null`, `"null"`, `""`, and an object without anything in it
    mean "not given" at every depth, and an object or array that arrives as a string is parsed.

    Raises:
        LayerError: INVALID_ARGUMENTS, naming the field, the limit, and the nearest name.
    """
    try:
        return model.model_validate(normalize(arguments, schema))
    except ValidationError as error:
        sentence = list(_describe(error.errors(), schema))
        raise LayerError("INVALID_ARGUMENTS", sentence) from None


def check_type(value: object, kind: type | tuple[type, ...], name: str) -> None:
    """Make sure that a Python program passed what an argument takes, before it is used.

    Raises:
        LayerError: INVALID_ARGUMENTS.
    """
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        wanted = " or ".join(one.__name__ for one in kinds)
        sentence = f"{name} must be {wanted}, not {type(value).__name__}."
        raise LayerError("INVALID_ARGUMENTS", sentence)


def normalize(value: Any, schema: JsonObject) -> Any:
    """Remove arguments that were not given, and parse JSON that arrived as a string."""
    kind = schema.get("type")
    if kind in ("object", "array") and isinstance(value, str):
        value = _parse_json(value)
    if kind == "object" and isinstance(value, dict):
        properties: JsonObject = schema.get("properties", {})
        given = {
            name: normalize(item, properties.get(name, {}))
            for name, item in cast(JsonObject, value).items()
        }
        return {
            name: item
            for name, item in given.items()
            if name not in properties or not _is_absent(item, properties[name])
        }
    if kind == "array" and isinstance(value, list):
        items: JsonObject = schema.get("items", {})
        return [
            normalize(item, items)
            for item in cast("list[Any]", value)
            if item is not None and item not in ABSENT
        ]
    return value


def _is_absent(value: object, schema: JsonObject) -> bool:
    return value is None or value in ABSENT or (value == {} and schema.get("type") == "object")


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _describe(errors: Sequence[ErrorDetails], schema: JsonObject) -> Iterator[MessagePart]:
    for number, error in enumerate(errors[:MAX_PROBLEMS_NAMED]):
        if number:
            yield "; "
        place = ".".join(str(part)[:60] for part in error["loc"])
        yield Argument(place) if place else "arguments"
        yield _describe_problem(error, schema)
    more_count = len(errors) - MAX_PROBLEMS_NAMED
    yield f"; and {more_count} more." if more_count > 0 else "."


def _describe_problem(error: ErrorDetails, schema: JsonObject) -> str:
    if error["type"] == "extra_forbidden":
        return f" is not an argument{_suggestion(error, schema)}"
    message = error["msg"].partition(" after validation")[0]
    rule = RULES.get(error["type"]) or PYDANTIC_SUBJECT.sub("must ", message)
    given = error["input"]
    shown = f", not {given}" if isinstance(given, int | float) and len(str(given)) < 20 else ""
    return f" {rule}{shown}" if rule.startswith(("must", "is ")) else f": {rule}"


def _suggestion(error: ErrorDetails, schema: JsonObject) -> str:
    location = error["loc"]
    for part in location[:-1]:
        schema = schema.get("items", {}) if isinstance(part, int) else _property(schema, part)
    names = list(schema.get("properties", {}))
    given = cast("JsonObject | None", error["input"] if isinstance(error["input"], dict) else None)
    if given is not None and not given.keys().isdisjoint(names):
        return " (arguments are flat: pass what is in it directly)"
    wrong = str(location[-1]).lower().replace("-", "_")
    plain = wrong.replace("_", "")
    if plain in NO_SUCH_ARGUMENT and "prompt" in names:
        return f" ({NO_SUCH_ARGUMENT[plain]})"
    known = [name for name in NAMES_ELSEWHERE.get(plain, ()) if name in names]
    near = known or difflib.get_close_matches(wrong, names, n=1, cutoff=LEAST_LIKENESS)
    meant = " and ".join(f'"{name}"' for name in near)
    return f" (did you mean {meant}?)" if near else ""


def _property(schema: JsonObject, name: str) -> JsonObject:
    return schema.get("properties", {}).get(name, {})
