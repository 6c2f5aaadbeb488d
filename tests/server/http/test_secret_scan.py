"""One scan for every secret of a server for a team: in its log, spans, metrics, and storage."""

import json
import secrets
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from ...support.callers import entry, write_tokens
from ...support.echoing_layer import IMAGE, calls, echo_everywhere
from ...support.http_process import Server, http_process
from ...support.issuer import AUDIENCE, new_key, running_issuer
from ...support.postgres_server import GUARDED_USER, PostgresServer
from ...support.sandbox_calls import png
from ...support.secret_forms import FORMS, traces
from ...support.span_collector import SpanCollector, span_collector
from ...support.stub_layer import FILE_ID, RUN_ID, Reply, StubLayer, stub_layer

pytestmark = pytest.mark.process

INSTRUMENT = str(Path(sys.executable).with_name("opentelemetry-instrument"))
HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
# How Layer and its storage repeat the key of a request.
ECHOED_FORMS = ("plain", "percent", "base64 of the header")
STOP_SECONDS = 30


def new_secret() -> str:
    """Return a secret that has to be percent-encoded in a URL."""
    return f"s/{secrets.token_urlsafe(32)}+{secrets.token_hex(4)}="


@dataclass(frozen=True)
class Team:
    """A running server, the Layer that it calls, and all secrets by name."""

    server: Server
    stub: StubLayer
    secrets: dict[str, str]

    def caller(self, name: str) -> dict[str, str]:
        """Return the headers of a caller with a token from the file, or from the issuer."""
        if name == "alice":
            token, header = self.secrets["token"], "X_Layer_Api_Key"
        else:
            token, header = self.secrets["JWT"], "X_API_Key"
        return {"Authorization": f"Bearer {token}", header: self.secrets[f"key of {name}"]}

    def post(self, path: str = "/mcp", body: Any = None, **headers: str) -> str:
        """Return the answer to a message."""
        sent = HEADERS | {name.replace("_", "-"): text for name, text in headers.items()}
        url = f"http://127.0.0.1:{self.server.port}{path}"
        return httpx.post(url, json=body, headers=sent, timeout=60, trust_env=False).text

    def call(self, caller: dict[str, str], tool: str, arguments: dict[str, Any]) -> str:
        """Return the answer to a call."""
        params = {"name": tool, "arguments": arguments}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        return self.post(body=message, **caller)

    def metrics(self) -> str:
        url = f"http://127.0.0.1:{self.server.metrics_port}/metrics"
        return httpx.get(url, timeout=60, trust_env=False).text

    def stop(self) -> None:
        """Ask the server to end, so that it exports its last spans and closes the journal."""
        self.server.process.terminate()
        self.server.process.wait(STOP_SECONDS)


@contextmanager
def running_team(
    folder: Path, collector: SpanCollector, settings: dict[str, str], password: str
) -> Generator[Team]:
    """Serve callers with a token of each kind and their own keys, with everything switched on."""
    with stub_layer() as stub, running_issuer() as issuer:
        issuer.keys["other"] = new_key()
        known = {
            "token": new_secret(),
            "JWT": issuer.token(),
            "forged JWT": issuer.token(key="other", headers={"kid": "first"}),
            "server's key": new_secret(),
            "sealing key": new_secret(),
            "key of alice": new_secret(),
            "key of bob": new_secret(),
            "wrong token": new_secret(),
            "signature of Layer": secrets.token_hex(32),
            "database": password,
        }
        write_tokens(folder / "tokens.toml", {"alice": entry(known["token"])})
        environment = stub.environment(
            folder,
            LAYER_API_KEY=known["server's key"],
            LAYER_SERVER_KEYS=known["sealing key"],
            LAYER_TOKENS_FILE=str(folder / "tokens.toml"),
            LAYER_OAUTH_ISSUER=issuer.url,
            LAYER_OAUTH_AUDIENCE=AUDIENCE,
            LAYER_PAYER="caller",
            LAYER_TOOLSETS="all",
            LAYER_TRACE_PROMPTS="1",
            LAYER_LOG_LEVEL="DEBUG",
            LAYER_DRAIN_SECONDS="0",
            **settings,
            **collector.environment,
        )
        options = ["--metrics-port", "0"]
        with http_process(environment, folder, INSTRUMENT, options=options) as server:
            yield Team(server, stub, known)


def use_everything(team: Team) -> Iterator[str]:
    """Make calls of all kinds that succeed and that fail, and yield their answers."""
    for name in ("alice", "bob"):
        caller, key = team.caller(name), team.secrets[f"key of {name}"]
        echo = " ".join(FORMS[form](key) for form in ECHOED_FORMS)
        echo_everywhere(team.stub, echo)
        for tool, arguments in calls(Path("none")):
            yield team.call(caller, tool, arguments)
        for status in (400, 401):
            problem = {"type": f"https://x/{echo}", "title": echo, "detail": echo}
            team.stub.answers[f"/inferences/{RUN_ID}"] = Reply(problem, status)
            yield team.call(caller, "get_status", {"inference_id": RUN_ID, "wait_seconds": 0})
        yield from upload(team, caller)
    alice = team.caller("alice")
    for token in (team.secrets["wrong token"], team.secrets["forged JWT"]):
        yield team.call(alice | {"Authorization": f"Bearer {token}"}, "list_runs", {})
        yield team.call(alice | {"Authorization": f"Basic {token}"}, "list_runs", {})
        yield team.post(f"/mcp?access_token={token}", **alice)
        yield team.post(f"/{token}", **alice)
        yield team.post(f"/uploads/{token}", Cookie=f"session={token}", User_Agent=token)


def upload(team: Team, caller: dict[str, str]) -> Iterator[str]:
    """Send a file to a link. The storage host refuses it."""
    signed = f"{team.stub.address}/up?X-Goog-Signature={team.secrets['signature of Layer']}"
    ticket = {"file_id": FILE_ID, "upload_url": signed, "content_type": "image/png"}
    team.stub.answers["/files/upload-url"] = Reply(ticket)
    content = png("red")
    arguments = {"file_name": "red.png", "size_bytes": len(content)}
    answer = team.call(caller, "create_upload", arguments)
    [data] = [line for line in answer.splitlines() if line.startswith("data: ")]
    url = json.loads(data[6:])["result"]["structuredContent"]["upload_url"]
    team.secrets[f"link {len(team.secrets)}"] = url.rpartition("/")[2]
    refused = httpx.put(url, content=content, timeout=60, trust_env=False)
    assert refused.status_code == 502
    yield refused.text


def found_in(places: dict[str, str], text: str) -> set[str]:
    """Return the places that have a text, in plain or in an encoded form."""
    forms = list(traces(text))
    return {place for place, content in places.items() if any(form in content for form in forms)}


def check(places: dict[str, str], team: Team) -> None:
    """Fail if a secret is anywhere, or if the places don't even have what they should."""
    places = {place: content.lower() for place, content in places.items()}
    hidden = {name: found_in(places, secret) for name, secret in team.secrets.items()}
    assert {name: found for name, found in hidden.items() if found} == {}
    assert found_in(places, RUN_ID) >= {"answers", "spans", "journal"}
    assert found_in(places, f"{IMAGE['prompt']}") >= {"spans", "journal"}
    assert found_in(places, "execute_inference") >= {"log", "spans", "metrics"}
    for place in ("answers", "journal"):
        assert "[token]" in places[place]


def places_of(
    team: Team, collector: SpanCollector, journal: str, answers: list[str]
) -> dict[str, str]:
    return {
        "answers": "\n".join(answers),
        "journal": journal,
        "log": team.server.log.read_text(),
        "spans": b"".join(collector.bodies).decode("latin-1"),
    }


def test_no_secret_is_logged_exported_or_stored_in_postgres(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    url = postgres_server.create_database()
    name = url.rpartition("/")[2]
    postgres_server.execute(f"GRANT CREATE ON DATABASE {name} TO {GUARDED_USER}")
    password = postgres_server.password
    guarded = url.replace("//layer@", f"//{GUARDED_USER}:{password}@")
    with span_collector() as collector:
        settings = {"LAYER_DATABASE_URL": guarded}
        with running_team(tmp_path, collector, settings, password) as team:
            answers = list(use_everything(team))
            with another_password(postgres_server):
                answers.append(team.call(team.caller("alice"), "list_runs", {}))
            metrics = team.metrics()
            team.stop()
            places = places_of(team, collector, rows_of(postgres_server, url), answers)
    assert "JOURNAL_UNAVAILABLE" in answers[-1]
    check(places | {"metrics": metrics, "files": files_in(tmp_path / "state")}, team)


@contextmanager
def another_password(server: PostgresServer) -> Generator[None]:
    """End the connections with the password of a URL, and refuse new ones."""
    change = f"ALTER USER {GUARDED_USER} PASSWORD"
    end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{GUARDED_USER}'"
    server.execute(f"{change} 'another'", end)
    try:
        yield
    finally:
        server.execute(f"{change} '{server.password}'")


@pytest.mark.slow
def test_no_secret_is_stored_in_sqlite(tmp_path: Path) -> None:
    with (
        span_collector() as collector,
        running_team(tmp_path, collector, {}, new_secret()) as team,
    ):
        answers = list(use_everything(team))
        metrics = team.metrics()
        before = files_in(tmp_path / "state")
        team.stop()
        journal = before + files_in(tmp_path / "state")
        places = places_of(team, collector, journal, answers)
    check(places | {"metrics": metrics}, team)


def rows_of(server: PostgresServer, url: str) -> str:
    """Return everything in all tables of a database."""
    tables = server.execute(
        "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables "
        "WHERE table_schema NOT IN ('pg_catalog', 'information_schema')",
        url=url,
    )
    assert tables
    rows = [row for [name] in tables for row in server.execute(f"SELECT * FROM {name}", url=url)]
    return "\n".join(f"{value}" for row in rows for value in row)


def files_in(folder: Path) -> str:
    """Return the bytes of all files, such as those of SQLite's log."""
    return "\n".join(
        path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file()
    )
