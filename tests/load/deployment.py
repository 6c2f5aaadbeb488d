"""What stands behind the agents: nginx, replicas, one database, and a sandbox that counts."""

import secrets
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from layer_mcp.sandbox import Knobs, RunningSandbox, SandboxState, running_sandbox

from ..support.callers import entry, new_token, write_tokens
from ..support.nginx import Nginx
from ..support.postgres_server import PostgresServer
from ..support.replicas import MANY, RAISED_LIMITS, Replica, running_replicas

REPLICAS = 3
RUN_SECONDS = 1.0


@dataclass(frozen=True)
class Deployment:
    """Everything between the agents and Layer, and the agents' tokens by their names."""

    nginx: Nginx
    replicas: Sequence[Replica]
    postgres: PostgresServer
    sandbox: RunningSandbox
    tokens: dict[str, str]

    def kill_replica(self) -> None:
        """Kill a replica, and start it again as a supervisor would."""
        self.replicas[0].kill()
        self.replicas[0].start()

    def restart_replica(self) -> None:
        """Let a replica end by itself, and start it again."""
        code = self.replicas[1].stop()
        assert code == 0, f"exit code {code}"
        self.replicas[1].start()

    def restart_database(self) -> None:
        """Stop the database as a power failure would, and start it again."""
        self.postgres.stop()
        self.postgres.start()

    def posts_by_prompt(self) -> Counter[str]:
        """Count the paid requests that arrived."""
        runs = self.sandbox.state.runs.values()
        return Counter(str(run.request.prompt) for run in runs)


@contextmanager
def running_deployment(
    postgres: PostgresServer, names: Sequence[str], folder: Path
) -> Generator[Deployment]:
    """Start everything for agents with these names, until the block ends."""
    tokens = {name: new_token() for name in names}
    tokens_file = folder / "tokens.toml"
    write_tokens(tokens_file, {name: entry(token) for name, token in tokens.items()})
    with running_sandbox(_state()) as sandbox:
        environment = {
            "HOME": str(folder),
            "LAYER_STATE_DIR": str(folder / "state"),
            "LAYER_DATABASE_URL": postgres.create_database(),
            "LAYER_SERVER_KEYS": secrets.token_hex(32),
            "LAYER_TOKENS_FILE": str(tokens_file),
            "LAYER_API_URL": sandbox.api_url,
            "LAYER_API_KEY": sandbox.token,
            "LAYER_WORKSPACE_ID": sandbox.workspace_id,
        }
        with running_replicas(REPLICAS, environment, folder, launcher=RAISED_LIMITS) as running:
            yield Deployment(*running, postgres, sandbox, tokens)


def _state() -> SandboxState:
    knobs = Knobs(
        run_seconds=RUN_SECONDS,
        max_runs_at_once=MANY,
        max_runs_a_minute=MANY,
        max_video_runs_a_minute=MANY,
    )
    state = SandboxState(knobs=knobs)
    state.workspaces[0].balance_creative_units = float(MANY)
    return state
