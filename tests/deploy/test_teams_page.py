"""The commands and the files on docs/teams.md work."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from layer_mcp.access.token_file import parse_token_file

from ..docs.test_readme import INSPECTOR, shell
from ..support.hosts import SCRIPT, child_environment
from ..support.ports import free_port
from ..support.replicas import Replica
from ..support.samples import ROOT, blocks_of, commands_of

PAGE = ROOT / "docs" / "teams.md"
PUBLIC_URL = "https://mcp.example.com"
BLOCKS = blocks_of(PAGE)
COMMANDS = [line for block in BLOCKS if block.language == "sh" for line in commands_of(block)]
SERVE = "layer-mcp serve --http"
ADD = "layer-mcp tokens add alice"

pytestmark = pytest.mark.process


def command(start: str) -> str:
    [found] = [line for line in COMMANDS if line.startswith(start)]
    return found


@dataclass(frozen=True)
class Served:
    """A server that the page's commands started, and the token of alice."""

    url: str
    token: str

    def fill_in(self, text: str) -> str:
        """Return a command of the page with this server and token."""
        return text.replace(f"{PUBLIC_URL}/mcp", self.url).replace("TOKEN", self.token)


@pytest.fixture
def served(environment: dict[str, str], tmp_path: Path) -> Iterator[Served]:
    add = [SCRIPT, *shlex.split(command(ADD))[1:]]
    settings = child_environment(environment)
    done = subprocess.run(
        add, cwd=tmp_path, env=settings, capture_output=True, text=True, timeout=60, check=True
    )
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    line = command(SERVE).replace(PUBLIC_URL, url).replace("10.0.0.11", "127.0.0.1")
    options = shlex.split(line.replace("tokens.toml", str(tmp_path / "tokens.toml")))[3:]
    replica = Replica(port, environment, tmp_path / "log", options)
    replica.start()
    yield Served(f"{url}/mcp", done.stdout.strip())
    replica.kill()


@pytest.mark.anyio
async def test_a_python_client_connects_with_a_token_and_not_without(served: Served) -> None:
    headers = {"Authorization": f"Bearer {served.token}"}
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False) as http,
        Client(streamable_http_client(served.url, http_client=http)) as client,
    ):
        assert (await client.list_tools()).tools
    async with httpx2.AsyncClient(trust_env=False) as http:
        refused = await http.post(served.url, json={})
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer ")


@pytest.mark.slow
def test_the_inspector_connects_with_a_token(served: Served) -> None:
    [row] = re.findall(r"^\| MCP Inspector \| `(.+)` \|$", PAGE.read_text(), re.MULTILINE)
    listed = json.loads(shell(served.fill_in(row), INSPECTOR))
    names = {tool["name"] for tool in listed["tools"]}
    assert names >= {"execute_inference", "get_status", "create_upload"}


def test_the_limits_of_oauth_callers_are_a_valid_tokens_file() -> None:
    [text] = [block.text for block in BLOCKS if block.text.startswith("[callers")]
    content = parse_token_file(Path("tokens.toml"), text.encode())
    assert content.limits_of("anybody").max_price == 5
    assert content.limits_of("1a2b3c4d:alice@example.com").max_spend_per_day == 200


def test_every_variable_on_the_page_exists() -> None:
    text = PAGE.read_text(encoding="utf-8")
    known = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    known += text.partition("<!-- generated: http-settings -->")[2]
    named = set(re.findall(r"\bLAYER_[A-Z_]+\b", text))
    assert {name for name in named if f"`{name}`" not in known} == set()
