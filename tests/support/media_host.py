"""A media host on loopback whose files a test makes up."""

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from layer_mcp import LayerClient
from layer_mcp.api.models import Output
from layer_mcp.files.folders import PrivateFolders
from layer_mcp.runs.outputs import SavedOutputs, save_outputs
from layer_mcp.runs.types import Run, RunRequest

RUN_ID = "1234abcd-0000-4000-8000-000000000001"
PROMPT = "a red potion"
MEGABYTE = 1024 * 1024


class Media(ThreadingHTTPServer):
    """A media host on loopback with files by path; a path in `held` waits in the middle."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files: dict[str, bytes] = {}
        self.held: set[str] = set()
        self.asked: list[str] = []
        self.at_same_time = self.most_at_same_time = 0
        self.counting = threading.Lock()
        self.four = threading.Event()
        self.released = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def hold(self) -> None:
        """Wait until the test lets go."""
        with self.counting:
            self.at_same_time += 1
            self.most_at_same_time = max(self.most_at_same_time, self.at_same_time)
        if self.at_same_time >= 4:
            self.four.set()
        self.released.wait(10)
        with self.counting:
            self.at_same_time -= 1

    def output(self, path: str, content: bytes, content_type: str | None = "image/png") -> Output:
        """Return an output with this content."""
        self.files[path] = content
        return Output(
            file_id=f"file-{path}", url=f"{self.address}{path}", content_type=content_type
        )


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        media = cast("Media", self.server)
        media.asked.append(self.path)
        content = media.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Disposition", 'attachment; filename="../../evil.sh"')
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])
        if self.path in media.held:
            media.hold()
        self.wfile.write(content[len(content) // 2 :])

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def media_host() -> Generator[Media]:
    """Serve until the block ends."""
    with Media() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


def run_of(*outputs: Output, prompt: str | None = PROMPT, run_id: str = RUN_ID) -> Run:
    """Return a finished run with these outputs."""
    body = {"prompt": prompt} if prompt is not None else {}
    request = RunRequest("inference", "m", "w1", body)
    return Run(request, "complete", 0.0, run_id=run_id, outputs=outputs)


async def save(
    layer: LayerClient, run: Run, folder: Path, numbers: set[int] | None = None
) -> SavedOutputs:
    """Save outputs without a limit that matters."""
    return await save_outputs(
        layer, run, folder, numbers=numbers, max_bytes=100 * MEGABYTE, private=PrivateFolders()
    )


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


def record_of(saved: SavedOutputs) -> dict[str, Any]:
    """Return the record next to saved outputs."""
    return json.loads(saved.record.read_text(encoding="utf-8"))
