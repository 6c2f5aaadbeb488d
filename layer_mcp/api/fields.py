"""Field types of the models: strict for requests, lenient for responses.

Requests reject unknown names, because Layer would ignore them and still charge for the run.
Responses accept new fields, because the response to a paid call must not be lost.

Models are built when they're first used: a server that lists its tools needs few of them.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, cast

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

from ..settings import MAX_CREATIVE_UNITS
from ..text.foreign_json import MAX_INTEGER, MAX_NUMBER
from ..text.plain_text import one_line

MAX_ID_LENGTH = 100
MAX_NAME_LENGTH = 200
MAX_CURSOR_LENGTH = 1000
MAX_URL_LENGTH = 8000
MAX_TEXT_LENGTH = 10_000

UUID_PATTERN = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"

# Schemas describe an ID briefly, because each tool has several.
ROUGH_UUID_PATTERN = r"^[0-9a-fA-F-]{36}$"


def _uuid(text: str) -> str:
    if not is_uuid(text):
        raise PydanticCustomError("uuid", "must be a UUID")
    return text


Id = Annotated[
    str,
    StringConstraints(pattern=ROUGH_UUID_PATTERN, strip_whitespace=True, to_lower=True),
    AfterValidator(_uuid),
]


def _no_flag(value: object) -> object:
    if isinstance(value, bool):
        raise PydanticCustomError("number", "Input should be a number")
    return value


NoFlag = BeforeValidator(_no_flag)
"""A number is not a flag: `true` would count as 1."""


def _at_most(limit: float) -> AfterValidator:
    """Return a validator for a limit that is too high to mention in schemas."""

    def check(value: float) -> float:
        if abs(value) > limit:
            raise PydanticCustomError("too_large", "must be smaller")
        return value

    return AfterValidator(check)


# Sums and products of numbers below these limits stay finite.
Bounded = _at_most(MAX_NUMBER)
BoundedInteger = _at_most(MAX_INTEGER)

# The limits must come before NoFlag, or they don't reach the JSON schema.
Integer = Annotated[int, NoFlag, BoundedInteger]
PositiveInteger = Annotated[int, Field(gt=0), NoFlag, BoundedInteger]
NonNegativeInteger = Annotated[int, Field(ge=0), NoFlag, BoundedInteger]
CountOfOutputs = Annotated[int, Field(ge=1, le=16), NoFlag]
PageSize = Annotated[int, Field(ge=1, le=100), NoFlag]
Number = Annotated[float, Field(allow_inf_nan=False), NoFlag, Bounded]
NonNegativeNumber = Annotated[float, Field(ge=0, allow_inf_nan=False), NoFlag, Bounded]
PositiveNumber = Annotated[float, Field(gt=0, allow_inf_nan=False), NoFlag, Bounded]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False), NoFlag, _at_most(MAX_CREATIVE_UNITS)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), NoFlag]
Percentage = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False), NoFlag]
TypeName = Annotated[str, StringConstraints(min_length=1), AfterValidator(str.lower)]


class Request(BaseModel):
    """A request to Layer. Unknown names are rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def is_uuid(text: str) -> bool:
    """Return whether the text is a UUID, the form of all of Layer's IDs."""
    return re.fullmatch(UUID_PATTERN, text) is not None


def _none_if_invalid(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    try:
        return handler(value)
    except ValidationError:
        return None


def list_of_objects(value: object) -> list[object]:
    """Return the objects in a list, or [] if the value isn't a list."""
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [item for item in items if isinstance(item, dict)]


def objects_of_a_list(value: object) -> object:
    """Return a list with only its objects, or any other value unchanged."""
    return list_of_objects(cast("list[object]", value)) if isinstance(value, list) else value


def objects_with(*names: str) -> Callable[[object], object]:
    """Return a validator that keeps the objects in a list that have text in one of these fields."""

    def keep(value: object) -> object:
        if not isinstance(value, list):
            return value
        items = cast("list[dict[str, object]]", list_of_objects(cast("list[object]", value)))
        return [item for item in items if any(isinstance(item.get(name), str) for name in names)]

    return keep


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT_LENGTH else text[:MAX_TEXT_LENGTH]


def _cut_name(text: str) -> str:
    return one_line(text, MAX_NAME_LENGTH)


def _in_utc(when: datetime) -> datetime:
    """Return a time in UTC; one without a zone is in UTC already."""
    try:
        return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError("no time in UTC") from None


Lenient = WrapValidator(_none_if_invalid)

# Long names and texts from Layer are shortened. A shortened ID or URL is useless, so it's dropped.
Name = Annotated[str, AfterValidator(_cut_name)]
# One invalid row must not lose the whole list.
ListedId = Name
RunId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_LENGTH)]
OptionalName = Annotated[Name | None, Lenient]
OptionalText = Annotated[Annotated[str, AfterValidator(_cut)] | None, Lenient]
OptionalTime = Annotated[Annotated[datetime, AfterValidator(_in_utc)] | None, Lenient]
OptionalId = Annotated[Annotated[str, StringConstraints(max_length=MAX_ID_LENGTH)] | None, Lenient]
OptionalCursor = Annotated[
    Annotated[str, StringConstraints(max_length=MAX_CURSOR_LENGTH)] | None, Lenient
]
# What is sent on as a header.
OptionalHeader = Annotated[
    Annotated[str, StringConstraints(pattern=r"^[ -~]{1,200}$")] | None, Lenient
]
OptionalUrl = Annotated[
    Annotated[str, StringConstraints(max_length=MAX_URL_LENGTH)] | None, Lenient
]
OptionalNumber = Annotated[Number | None, Lenient]
OptionalPrice = Annotated[Price | None, Lenient]
OptionalCount = Annotated[NonNegativeInteger | None, Lenient]
OptionalDuration = Annotated[NonNegativeNumber | None, Lenient]


class Response(BaseModel):
    """A response from Layer. Unknown fields are ignored, and malformed optional ones dropped."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)
