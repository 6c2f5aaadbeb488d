"""What a job is: its arguments, the models that can do it, its steps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "image", "model", "workspace"]
"""What an argument holds; an image is a local file's path or a file_id."""


@dataclass(frozen=True)
class Argument:
    """An argument of a prompt; `default` is what is asked for when a person leaves it out.

    `choices` are what a host may offer for it.
    """

    name: str
    description: str
    kind: Kind = "text"
    is_required: bool = False
    default: str | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One step, and the tools that its text names."""

    tools: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Job:
    """A job that a person asks for by name.

    `models` is the filter of list_models that finds the models for it. `steps` come between finding
    a model and saving to `folder`. Tools and their arguments stand in backticks. `$references`
    stands for guidance_files with the image that was given, as a file of the type `reference`.
    """

    name: str
    title: str
    description: str
    goal: str
    arguments: tuple[Argument, ...]
    models: Mapping[str, str | bool]
    steps: tuple[Step, ...]
    folder: str
    reference: str = ""
