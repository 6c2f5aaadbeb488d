"""The README's tables of prompts and resources match the server."""

import pytest
from mcp.types import Prompt

from layer_mcp.server.prompts.jobs import jobs

from .hosts import MEMORY
from .test_readme import rows, table

pytestmark = pytest.mark.anyio

DEFAULTS = {(job.name, each.name): each.default for job in jobs() for each in job.arguments}


def arguments_in_words(prompt: Prompt) -> str:
    """The arguments, with what is asked for when they are left out."""
    words: list[str] = []
    for argument in prompt.arguments or []:
        default = DEFAULTS[prompt.name, argument.name]
        note = " (required)" if argument.required else f" ({default})" if default else ""
        words.append(f"`{argument.name}`{note}")
    return ", ".join(words)


async def test_the_table_of_prompts_matches_the_server(environment: dict[str, str]) -> None:
    async with MEMORY.connect(environment) as client:
        listed = (await client.list_prompts()).prompts
    assert rows(table("prompts")) == [
        f"| `{prompt.name}` | {prompt.title} | {arguments_in_words(prompt)} |" for prompt in listed
    ]


async def test_the_table_of_resources_matches_the_server(environment: dict[str, str]) -> None:
    async with MEMORY.connect(environment) as client:
        templates = (await client.list_resource_templates()).resource_templates
        resources = (await client.list_resources()).resources
    expected = [f"| `{one.uri_template}` | {one.title} | {one.description} |" for one in templates]
    # One of a fixed address that a template covers too stands in the table once.
    covered = {one.uri_template.partition("{?")[0] for one in templates}
    expected += [
        f"| `{one.uri}` | {one.title} | {one.description} |"
        for one in resources
        if str(one.uri).startswith("layer:") and str(one.uri) not in covered
    ]
    assert rows(table("resources")) == expected
