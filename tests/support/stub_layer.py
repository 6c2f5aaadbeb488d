"""An API and a host of files on loopback whose answers a test makes up."""

import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

WORKSPACE = "00000000-0000-4000-8000-0000000000aa"
RUN_ID = "1234abcd-0000-4000-8000-000000000001"
FILE_ID = "1234abcd-0000-4000-8000-0000000000f1"
TOKEN = "token-of-nothing"


@dataclass(frozen=True)
class Reply:
    """What is sent: bytes as they are, anything else as JSON; a body may go without its length."""

    content: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    has_length: bool = True

    def body(self) -> bytes:
        content = self.content
        return content if isinstance(content, bytes) else json.dumps(content).encode()


PRICE = Reply(
    {
        "estimated_price_creative_units": 1,
        "workspace_balance_creative_units": 1000,
        "estimated_remaining_balance_creative_units": 999,
        "has_sufficient_creative_units": True,
    }
)


@dataclass(frozen=True)
class Question:
    """What arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class StubLayer(ThreadingHTTPServer):
    """Answers by the end of a path, without its query; 404 for any other but an estimate."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, Reply | Callable[[Question], Reply]] = {}
        self.asked: list[Question] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def environment(self, folder: Path, **more: str) -> dict[str, str]:
        """Settings for a server of this API; what it keeps is below the folder."""
        return {
            "LAYER_API_URL": self.address,
            "LAYER_API_KEY": TOKEN,
            "LAYER_WORKSPACE_ID": WORKSPACE,
            "LAYER_STATE_DIR": str(folder / "state"),
            "LAYER_PREVIEW": "0",
            **more,
        }

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet: a client may leave before the end of an answer."""

    def asked_for(self, end: str) -> list[Question]:
        return [one for one in self.asked if one.path.partition("?")[0].endswith(end)]

    def file(self, path: str, content: bytes, **facts: Any) -> dict[str, Any]:
        """A file here, as an output of a run."""
        self.answers[path] = Reply(content)
        return {"url": self.address + path, "content_type": "image/png", **facts}

    def finish(self, *outputs: dict[str, Any], run_id: str = RUN_ID, **facts: Any) -> None:
        """Let a run be complete with these outputs."""
        state = {"inference_id": run_id, "status": "complete", "outputs": outputs}
        self.answers[f"/inferences/{run_id}"] = Reply(state | facts)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        stub = cast("StubLayer", self.server)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        question = Question(self.command, self.path, headers, body)
        stub.asked.append(question)
        path = self.path.partition("?")[0]
        found = (answer for end, answer in stub.answers.items() if path.endswith(end))
        answer = next(found, PRICE if path.endswith("/estimate") else Reply(status=404))
        reply = answer(question) if callable(answer) else answer
        self.send_response(reply.status)
        if reply.has_length and "Content-Length" not in reply.headers:
            self.send_header("Content-Length", str(len(reply.body())))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body())

    do_POST = do_PUT = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def stub_layer() -> Generator[StubLayer]:
    """Serve until the block ends."""
    with StubLayer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
