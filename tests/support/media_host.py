"""A media host on loopback whose files a test defines."""

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from layer_mcp import LayerClient
from layer_mcp.api.models import Output
from layer_mcp.files.folders import PrivateFolders
from layer_mcp.runs.outputs import OnBytes, SavedOutputs, save_outputs
from layer_mcp.runs.outputs.save import SaveOptions
from layer_mcp.runs.types.request import RunRequest
from layer_mcp.runs.types.run import Run

from .sandbox_calls import png_with

RUN_ID = "1234abcd-0000-4000-8000-000000000001"
PROMPT = "a red potion"
MEGABYTE = 1024 * 1024
ONE, TWO = png_with(b"one"), png_with(b"two")


class Media(ThreadingHTTPServer):
    """A media host on loopback with files by path; a path in `held` pauses in the middle."""

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
        """Wait until the test releases it."""
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
        # A call that was cancelled doesn't read the rest.
        with suppress(ConnectionError):
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
    return Run(request, "complete", datetime.now(UTC), run_id=run_id, outputs=outputs)


async def save(
    layer: LayerClient,
    run: Run,
    folder: Path,
    numbers: set[int] | None = None,
    *,
    max_bytes: int = 100 * MEGABYTE,
    on_bytes: OnBytes | None = None,
    **options: Any,
) -> SavedOutputs:
    """Save outputs, by default without a limit."""
    chosen = SaveOptions(PrivateFolders(), max_bytes, **options)
    return await save_outputs(layer, run, folder, chosen, numbers=numbers, on_bytes=on_bytes)


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


def record_of(saved: SavedOutputs) -> dict[str, Any]:
    """Return the record next to saved outputs."""
    return json.loads(saved.record.read_text(encoding="utf-8"))
