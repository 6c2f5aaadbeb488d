"""A server on loopback that is both API and file host, with responses that a test defines."""

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
    """A response. Bytes are sent unchanged, and anything else as JSON.

    Without `has_length` there is no Content-Length.
    """

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
class ReceivedRequest:
    """A request that arrived. Header names are lowercase."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class StubLayer(ThreadingHTTPServer):
    """A server that finds its reply by the end of the path, ignoring the query.

    Without one, an estimate gets `PRICE`, and any other request gets a 404.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, Reply | Callable[[ReceivedRequest], Reply]] = {}
        self.requests: list[ReceivedRequest] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def environment(self, folder: Path, **more: str) -> dict[str, str]:
        """Return settings that use this server, and this folder for the state."""
        return {
            "LAYER_API_URL": self.address,
            "LAYER_API_KEY": TOKEN,
            "LAYER_WORKSPACE_ID": WORKSPACE,
            "LAYER_STATE_DIR": str(folder / "state"),
            "LAYER_PREVIEW": "0",
            **more,
        }

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: a client may disconnect before the end of a response."""

    def requests_to(self, end: str) -> list[ReceivedRequest]:
        """Return the requests whose path, without its query, ends like this."""
        return [r for r in self.requests if r.path.partition("?")[0].endswith(end)]

    def file(self, path: str, content: bytes, **more: Any) -> dict[str, Any]:
        """Serve a file, and return it as an output of a run."""
        self.answers[path] = Reply(content)
        return {"url": self.address + path, "content_type": "image/png", **more}

    def finish(self, *outputs: dict[str, Any], run_id: str = RUN_ID, **more: Any) -> None:
        """Complete a run with these outputs."""
        state = {"inference_id": run_id, "status": "complete", "outputs": outputs}
        self.answers[f"/inferences/{run_id}"] = Reply(state | more)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        stub = cast("StubLayer", self.server)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = ReceivedRequest(self.command, self.path, headers, body)
        stub.requests.append(request)
        path = self.path.partition("?")[0]
        found = (answer for end, answer in stub.answers.items() if path.endswith(end))
        answer = next(found, PRICE if path.endswith("/estimate") else Reply(status=404))
        reply = answer(request) if callable(answer) else answer
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
    """Run a stub until the block ends."""
    with StubLayer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
