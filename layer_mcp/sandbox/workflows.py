"""The workflows that the sandbox offers: their inputs, their steps, and what their runs cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

REFERENCE_CREATIVE_UNITS = 0.2
PROMPT_SCHEMA = {"type": "string", "minLength": 1, "maxLength": 10_000}
FILE_SCHEMA = {"type": "string", "format": "uuid"}


@dataclass(frozen=True)
class SandboxWorkflowInput:
    """One input: its name, the JSON Schema of its value, and whether it must be given."""

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
    creative_units_each: float
    steps: tuple[str, ...]
    inputs: tuple[SandboxWorkflowInput, ...]


def sandbox_workflows() -> tuple[SandboxWorkflow, ...]:
    """Every workflow of the sandbox, in the order in which it lists them."""
    prompt = SandboxWorkflowInput("prompt", "string", PROMPT_SCHEMA, "What to make.", required=True)
    return (
        SandboxWorkflow(
            workflow_id="00000000-0000-4000-8000-0000000000c1",
            name="Icon set",
            description="Icons in one style, cut out and scaled.",
            modality="image",
            output_name="icons",
            output_description="The icons as PNG.",
            creative_units_each=0.5,
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
                    "style_reference", "file", FILE_SCHEMA, "A picture whose colours to take."
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
            creative_units_each=3.0,
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


def count_of_outputs(inputs: Mapping[str, Any]) -> int:
    """How many files a run with these inputs makes."""
    return int(inputs.get("count", 1))


def workflow_price_creative_units(workflow: SandboxWorkflow, inputs: Mapping[str, Any]) -> float:
    """The price of a run: by outputs and by files given."""
    files = [item for item in workflow.inputs if item.type == "file" and item.name in inputs]
    made = count_of_outputs(inputs) * workflow.creative_units_each
    return round(made + len(files) * REFERENCE_CREATIVE_UNITS, 2)
