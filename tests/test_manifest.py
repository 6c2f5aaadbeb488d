"""The Claude Desktop bundle manifest agrees with the package."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from layer_mcp import Settings, __version__
from layer_mcp.server.prompts.jobs import jobs
from layer_mcp.server.tools import tools_of

MANIFEST: dict[str, Any] = json.loads((Path(__file__).parents[1] / "manifest.json").read_text())


def substituted(values: dict[str, str]) -> dict[str, str]:
    """The environment as Claude Desktop makes it: what the user left out stays as it is."""

    def value_of(match: re.Match[str]) -> str:
        return values.get(match[1], match[0])

    environment: dict[str, str] = MANIFEST["server"]["mcp_config"]["env"]
    pattern = r"\$\{user_config\.(\w+)\}"
    return {name: re.sub(pattern, value_of, text) for name, text in environment.items()}


def test_the_version_is_the_packages() -> None:
    assert MANIFEST["version"] == __version__


def test_the_tools_are_the_servers() -> None:
    expected = [{"name": tool.name, "description": tool.title} for tool in tools_of()]
    assert MANIFEST["tools"] == expected


def test_the_prompts_are_the_servers() -> None:
    expected = [
        {
            "name": job.name,
            "description": job.title,
            "arguments": [argument.name for argument in job.arguments],
            "text": job.goal,
        }
        for job in jobs()
    ]
    assert MANIFEST["prompts"] == expected
    # The whole text depends on the arguments and on the settings.
    assert MANIFEST["prompts_generated"] is True


def test_it_starts_through_uv_from_its_own_folder() -> None:
    server = MANIFEST["server"]
    assert (server["type"], server["mcp_config"]["command"]) == ("uv", "uv")
    assert "${__dirname}" in server["mcp_config"]["args"]
    assert (Path(__file__).parents[1] / server["entry_point"]).exists()


def test_the_token_is_marked_as_sensitive() -> None:
    assert MANIFEST["user_config"]["api_key"]["sensitive"] is True


@pytest.mark.parametrize(("switch", "on"), [("true", True), ("false", False)])
def test_what_claude_desktop_substitutes_are_settings(switch: str, on: bool) -> None:
    settings = Settings.from_env(substituted({"api_key": "pat_1", "sandbox": switch}))
    assert (settings.api_token, settings.sandbox, settings.workspace) == ("pat_1", on, None)


def test_what_claude_desktop_leaves_unsubstituted_is_unset() -> None:
    assert Settings.from_env(substituted({})) == Settings()
