"""The official clients attach to a server for a team, through nginx."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import pytest

from layer_mcp.sandbox import Knobs, RunningSandbox, SandboxState, running_sandbox
from layer_mcp.server.http.auth.challenge import NO_SPEND_SCOPE

from ..support.attached_clients import CLIENTS
from ..support.authorization_server import AuthorizationServer, authorization_server
from ..support.callers import READ, SPEND, entry, new_token, write_tokens
from ..support.hosts import SMALL_IMAGE
from ..support.issuer import JWKS_PATH
from ..support.replicas import running_replicas

pytestmark = [pytest.mark.anyio, pytest.mark.process, pytest.mark.slow]

TOOLS = {"execute_inference", "get_status"}
# What clients say when a call needs the scope layer:spend. With OAuth, they first ask for another
# token, and get the same scopes again.
REFUSALS = {
    ("Python", "token"): NO_SPEND_SCOPE,
    ("Python", "OAuth"): NO_SPEND_SCOPE,
    ("TypeScript", "token"): "InsufficientScopeError",
    ("TypeScript", "OAuth"): "UnauthorizedError",
    ("Inspector", "token"): 'Insufficient scope: required "layer:read layer:spend"',
    ("Inspector", "OAuth"): "Unauthorized",
}


@dataclass(frozen=True)
class Team:
    """A server behind nginx, which accepts two tokens, and those of an authorization server."""

    url: str
    spender: str
    reader: str
    issuer: AuthorizationServer
    sandbox: RunningSandbox

    def count_paid(self, image: dict[str, Any]) -> int:
        """Return how many runs with an image's prompt were paid for."""
        runs = self.sandbox.state.runs.values()
        return sum(run.request.prompt == image["prompt"] for run in runs)


def image_of(prompt: str) -> dict[str, Any]:
    return {**SMALL_IMAGE, "prompt": prompt, "wait_seconds": 10}


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Generator[Team]:
    folder = tmp_path_factory.mktemp("team")
    file, spender, reader = folder / "tokens.toml", new_token(), new_token()
    write_tokens(file, {"spender": entry(spender), "reader": entry(reader, READ)})
    with (
        running_sandbox(SandboxState(knobs=Knobs(run_seconds=0))) as sandbox,
        authorization_server() as issuer,
    ):
        environment = {
            "LAYER_STATE_DIR": str(folder / "state"),
            "LAYER_API_URL": sandbox.api_url,
            "LAYER_API_KEY": sandbox.token,
            "LAYER_WORKSPACE_ID": sandbox.workspace_id,
            "LAYER_TOKENS_FILE": str(file),
            "LAYER_OAUTH_ISSUER": issuer.url,
            "LAYER_OAUTH_JWKS_URL": issuer.url + JWKS_PATH,
        }
        with running_replicas(1, environment, folder) as (nginx, _):
            yield Team(f"{nginx.url}/mcp", spender, reader, issuer, sandbox)


@pytest.mark.parametrize("way", ["token", "OAuth"])
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_attaches_and_generates(team: Team, client: str, way: str) -> None:
    team.issuer.expect(SPEND)
    token = team.spender if way == "token" else None
    image = image_of(f"{client} pays with {way}")
    attached = await CLIENTS[client](team.url, token, image)
    assert attached.tools >= TOOLS
    assert attached.outcome == "complete"
    assert team.count_paid(image) == 1


@pytest.mark.parametrize("way", ["token", "OAuth"])
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_reader_attaches_and_pays_for_nothing(team: Team, client: str, way: str) -> None:
    team.issuer.expect(READ)
    token = team.reader if way == "token" else None
    image = image_of(f"{client} reads with {way}")
    attached = await CLIENTS[client](team.url, token, image)
    assert attached.tools >= TOOLS
    assert REFUSALS[client, way] in attached.outcome
    assert team.count_paid(image) == 0


# The Inspector asks only for the scopes that it has.
@pytest.mark.parametrize("client", ["Python", "TypeScript"])
async def test_a_client_asks_for_another_token_to_spend(team: Team, client: str) -> None:
    team.issuer.expect(READ, SPEND)
    attached = await CLIENTS[client](team.url, None, image_of(f"{client} asks"))
    assert attached.outcome == "complete"
    assert team.issuer.granted == [READ, SPEND]
