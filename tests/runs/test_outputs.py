"""Bringing outputs home: their names, what is kept, what is fetched again, what is left behind."""

import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from layer_mcp.runs.sidecar import FinishedRun, Saved, earlier_saved

from layer_mcp import LayerClient, LayerError
from layer_mcp.api.models import Output
from layer_mcp.errors import ERROR_CODES
from layer_mcp.runs.file_names import slug_of
from layer_mcp.runs.outputs import save_outputs

from ..support.raw_servers import raw_server

pytestmark = pytest.mark.anyio

RUN_ID = "1234abcd-0000-4000-8000-000000000001"
MEGABYTE = 1024 * 1024
# Saves three outputs as a user who may write files of one megabyte, or as one who owns nothing.
LIMITED = """
import os, resource, sys
from pathlib import Path
import anyio
from layer_mcp import LayerClient, LayerError
from layer_mcp.api.models import Output
from layer_mcp.runs.sidecar import FinishedRun
from layer_mcp.runs.outputs import save_outputs
import layer_mcp.api.download, layer_mcp.api.file_transport
address, folder, limit = sys.argv[1:]
outputs = [Output(url=f"{address}/{n}", content_type="image/png") for n in ("small", "large", "x")]
async def save():
    if limit == "size":
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * 1024, 1024 * 1024))
    else:
        os.setuid(65534)
    async with LayerClient(None, api_url="http://127.0.0.1:1/api") as layer:
        run = FinishedRun("1234abcd", outputs, "potion", {})
        return await save_outputs(layer, run, Path(folder), max_bytes=10**8)
try:
    saved = anyio.run(save)
    print(*(file.name for file in saved.files), *(f.error.code for f in saved.failures))
except LayerError as error:
    print(error.code, error.next_step)
"""


class Media(ThreadingHTTPServer):
    """A media host on loopback with files by path; a path in `held` waits in the middle."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files: dict[str, bytes] = {}
        self.held: set[str] = set()
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        self.counting = threading.Lock()
        self.four = threading.Event()
        self.released = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def hold(self) -> None:
        """Wait until the test lets go."""
        with self.counting:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        if self.at_once >= 4:
            self.four.set()
        self.released.wait(10)
        with self.counting:
            self.at_once -= 1

    def output(self, path: str, content: bytes, content_type: str | None = "image/png") -> Output:
        """An output whose bytes are here."""
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


@pytest.fixture
def media() -> Iterator[Media]:
    with Media() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture
async def layer() -> AsyncGenerator[LayerClient]:
    async with LayerClient(None, api_url="http://127.0.0.1:1/api") as client:
        yield client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out" / "icons"


def run_of(*outputs: Output, slug: str = "a-red-potion", run_id: str = RUN_ID) -> FinishedRun:
    return FinishedRun(run_id, outputs, slug, {"prompt": "a red potion", "model_id": "m"})


async def save(
    layer: LayerClient, run: FinishedRun, folder: Path, numbers: set[int] | None = None
) -> Saved:
    return await save_outputs(layer, run, folder, numbers=numbers, max_bytes=100 * MEGABYTE)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def record_of(saved: Saved) -> dict[str, Any]:
    return json.loads(saved.record.read_text(encoding="utf-8"))


async def test_outputs_are_named_after_the_prompt_and_the_run_with_a_record_beside_them(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    run = run_of(media.output("/a", b"one"), media.output("/b", b"two", "audio/wav"))
    saved = await save(layer, run, folder)
    assert names(folder) == [
        "a-red-potion-1234abcd-1.png",
        "a-red-potion-1234abcd-2.wav",
        "a-red-potion-1234abcd.json",
    ]
    assert [saved.path(file).read_bytes() for file in saved.files] == [b"one", b"two"]
    assert saved.failures == ()


async def test_the_record_says_what_was_asked_and_what_was_saved(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    output = media.output("/a", b"one")
    record = record_of(await save(layer, run_of(output), folder))
    assert record.pop("saved_at")
    assert record == {
        "run_id": RUN_ID,
        "prompt": "a red potion",
        "model_id": "m",
        "files": [
            {
                "number": 1,
                "name": "a-red-potion-1234abcd-1.png",
                "file_id": "file-/a",
                "url": output.url,
                "content_type": "image/png",
                "size_bytes": 3,
                "sha256": hashlib.sha256(b"one").hexdigest(),
            }
        ],
    }


async def test_no_name_from_an_address_a_header_or_an_id_leads_out_of_the_folder(
    layer: LayerClient, media: Media, folder: Path, tmp_path: Path
) -> None:
    outputs = [
        media.output("/..%2F..%2Fevil.sh", b"one", "../../evil"),
        media.output("/a/evil.png%00.exe", b"two", None),
    ]
    saved = await save(layer, run_of(*outputs, run_id="../../../ABCD/etc"), folder)
    assert [file.name for file in saved.files] == [
        "a-red-potion-abcdetc-1.bin",
        "a-red-potion-abcdetc-2.bin",
    ]
    assert names(tmp_path) == ["out"]
    assert names(folder.parent) == ["icons"]


@pytest.mark.parametrize("prompt", ["con", "界" * 500, "x" * 5000, "../..", "a:b|c?", "NUL.", ""])
async def test_any_prompt_gives_a_name_that_every_system_takes(
    prompt: str, layer: LayerClient, media: Media, folder: Path
) -> None:
    run = run_of(media.output("/a", b"one"), slug=slug_of(prompt))
    [file] = (await save(layer, run, folder)).files
    assert file.name.endswith("-1234abcd-1.png")
    assert len(file.name.encode()) < 120
    assert not set(file.name) & set('<>:"/\\|?*')


async def test_a_second_save_fetches_nothing(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    run = run_of(media.output("/a", b"one"), media.output("/b", b"two"))
    first = await save(layer, run, folder)
    media.asked.clear()
    second = await save(layer, run, folder)
    assert (second.files, second.record, media.asked) == (first.files, first.record, [])


async def test_a_file_that_was_deleted_is_fetched_again(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    run = run_of(media.output("/a", b"one"), media.output("/b", b"two"))
    saved = await save(layer, run, folder)
    saved.path(saved.files[0]).unlink()
    media.asked.clear()
    again = await save(layer, run, folder)
    assert (media.asked, again.path(again.files[0]).read_bytes()) == (["/a"], b"one")


async def test_only_the_chosen_outputs_are_saved_and_the_others_join_them_later(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    run = run_of(media.output("/a", b"one"), media.output("/b", b"two"))
    await save(layer, run, folder, numbers={2})
    assert media.asked == ["/b"]
    saved = await save(layer, run, folder)
    assert [file["number"] for file in record_of(saved)["files"]] == [1, 2]


async def test_a_foreign_file_is_kept_and_the_output_gets_another_name(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    folder.mkdir(parents=True)
    foreign = folder / "a-red-potion-1234abcd-1.png"
    foreign.write_bytes(b"someone's own")
    [file] = (await save(layer, run_of(media.output("/a", b"one")), folder)).files
    assert file.name == "a-red-potion-1234abcd-1-copy2.png"
    assert foreign.read_bytes() == b"someone's own"


async def test_a_foreign_file_in_the_records_place_is_kept(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    folder.mkdir(parents=True)
    foreign = folder / "a-red-potion-1234abcd.json"
    foreign.write_text('{"run_id": "another", "files": []}')
    saved = await save(layer, run_of(media.output("/a", b"one")), folder)
    assert saved.record.name == "a-red-potion-1234abcd-copy2.json"
    assert foreign.read_text() == '{"run_id": "another", "files": []}'


async def test_a_folder_in_an_outputs_place_is_left_alone(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    (folder / "a-red-potion-1234abcd-1.png").mkdir(parents=True)
    [file] = (await save(layer, run_of(media.output("/a", b"one")), folder)).files
    assert file.name == "a-red-potion-1234abcd-1-copy2.png"


async def test_a_link_in_an_outputs_place_is_not_written_through(
    layer: LayerClient, media: Media, folder: Path, tmp_path: Path
) -> None:
    folder.mkdir(parents=True)
    (folder / "a-red-potion-1234abcd-1.png").symlink_to(tmp_path / "outside.png")
    await save(layer, run_of(media.output("/a", b"one")), folder)
    assert not (tmp_path / "outside.png").exists()


async def test_the_same_content_that_is_there_already_is_kept(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    folder.mkdir(parents=True)
    there = folder / "a-red-potion-1234abcd-1.png"
    there.write_bytes(b"one")
    inode = there.stat().st_ino
    await save(layer, run_of(media.output("/a", b"one")), folder)
    assert names(folder) == ["a-red-potion-1234abcd-1.png", "a-red-potion-1234abcd.json"]
    assert there.stat().st_ino == inode


async def test_one_output_that_fails_does_not_keep_the_others_away(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    gone, nowhere = Output(url=f"{media.address}/gone"), Output()
    foreign = Output(url="https://evil.test/a.png")
    run = run_of(gone, media.output("/b", b"two"), nowhere, foreign)
    saved = await save(layer, run, folder)
    assert [file.number for file in saved.files] == [2]
    assert [(failure.number, failure.error.code) for failure in saved.failures] == [
        (1, "OUTPUT_GONE"),
        (3, "OUTPUT_GONE"),
        (4, "HOST_NOT_ALLOWED"),
    ]
    assert all(failure.error.code in ERROR_CODES for failure in saved.failures)
    assert saved.failures[0].sentence().startswith("Output 1 was not saved: ")


async def test_an_output_that_fails_leaves_nothing_behind(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    run = run_of(media.output("/a", bytes(3 * MEGABYTE)))
    saved = await save_outputs(layer, run, folder, max_bytes=2 * MEGABYTE)
    assert [failure.error.code for failure in saved.failures] == ["OUTPUT_TOO_LARGE"]
    assert names(folder) == []


async def kept_of(layer: LayerClient, folder: Path, content: bytes, **facts: Any) -> list[str]:
    """What is kept of an answer that is as long as its connection; why it was refused."""
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + content
    with raw_server(lambda connection: connection.sendall(answer)) as host:
        output = Output(url=f"http://127.0.0.1:{host.port}/a", **facts)
        saved = await save(layer, run_of(output), folder)
    assert len(names(folder)) == 2 * len(saved.files)
    return [failure.error.message for failure in saved.failures]


async def test_an_empty_file_is_not_saved(layer: LayerClient, folder: Path) -> None:
    why = await kept_of(layer, folder, b"", content_type="image/png")
    assert why == ["The media host sent an empty file."]


async def test_a_file_that_ends_early_is_not_saved(layer: LayerClient, folder: Path) -> None:
    assert await kept_of(layer, folder, b"12345", file_size_bytes=6) == [
        "The file was cut on its way."
    ]


@pytest.mark.parametrize("facts", [{"file_size_bytes": 5}, {}], ids=["known", "unknown"])
async def test_a_file_without_a_length_is_saved_when_its_size_fits_or_is_not_known(
    facts: dict[str, int], layer: LayerClient, folder: Path
) -> None:
    assert await kept_of(layer, folder, b"12345", **facts) == []


@pytest.mark.parametrize(
    "content", [b"<!doctype html>", b"\r\n <html>", b"\xef\xbb\xbf<html>", b"<?xml?><Error>"]
)
@pytest.mark.parametrize("content_type", ["image/png", "Image/JPEG", "image/png; q=1", "video/mp4"])
async def test_a_web_page_is_not_saved_as_a_picture(
    content: bytes, content_type: str, layer: LayerClient, folder: Path
) -> None:
    why = await kept_of(layer, folder, content, content_type=content_type)
    assert why == ["The media host sent a web page, not the file."]


async def test_a_drawing_in_xml_is_no_web_page(layer: LayerClient, folder: Path) -> None:
    assert await kept_of(layer, folder, b"<svg/>", content_type="image/svg+xml") == []


async def cancelled_save(layer: LayerClient, run: FinishedRun, media: Media, first: Path) -> None:
    """Save, and cancel that when the first output is there and another is on its way."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(save, layer, run, first.parent)
        while not (media.at_once and first.exists() and first.stat().st_size):  # noqa: ASYNC110
            await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()


async def test_a_save_that_is_cancelled_leaves_no_half_file_and_notes_what_was_finished(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    run = run_of(media.output("/a", b"one"), media.output("/slow", bytes(4 * MEGABYTE)))
    media.held.add("/slow")
    first = folder / "a-red-potion-1234abcd-1.png"
    await cancelled_save(layer, run, media, first)
    assert names(folder) == [first.name, "a-red-potion-1234abcd.json"]
    saved = earlier_saved(folder, RUN_ID)
    assert saved is not None
    assert [file.number for file in saved.files] == [1]


async def test_a_save_after_a_cancelled_one_fetches_the_rest(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    run = run_of(media.output("/a", b"one"), media.output("/slow", b"two"))
    media.held.add("/slow")
    await cancelled_save(layer, run, media, folder / "a-red-potion-1234abcd-1.png")
    media.held.clear()
    media.asked.clear()
    saved = await save(layer, run, folder)
    assert media.asked == ["/slow"]
    assert [saved.path(file).read_bytes() for file in saved.files] == [b"one", b"two"]


async def test_four_files_come_at_once_and_no_more(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    run = run_of(*(media.output(f"/{number}", b"file") for number in range(9)))
    media.held.update(media.files)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(save, layer, run, folder)
        assert await anyio.to_thread.run_sync(media.four.wait, 10)
        await anyio.sleep(0.1)
        media.released.set()
    assert media.most_at_once == 4
    assert len(names(folder)) == 10


async def test_progress_is_told(layer: LayerClient, media: Media, folder: Path) -> None:
    arrived_bytes: dict[int, int] = {}

    async def tell(number: int, so_far_bytes: int) -> None:
        arrived_bytes[number] = so_far_bytes

    run = run_of(media.output("/a", bytes(1000)), media.output("/b", bytes(500)))
    await save_outputs(layer, run, folder, max_bytes=MEGABYTE, on_bytes=tell)
    assert arrived_bytes == {1: 1000, 2: 500}


GOOD_FILE: dict[str, Any] = {
    "number": 1,
    "name": "a-red-potion-1234abcd-1.png",
    "file_id": None,
    "url": None,
    "content_type": None,
    "size_bytes": 1,
    "sha256": "",
}
BAD_NAMES: list[Any] = ["../secret.png", "..", ".", "", "/etc/passwd", "a/../../b", "a\0", 7, None]
BAD_NUMBERS: list[Any] = [-1, 0, "one", None, 1.5, []]
BAD_LISTS: list[Any] = [[7], 7, {"a": 1}, "text", [{}], [GOOD_FILE, {"number": "x"}]]


@pytest.mark.parametrize(
    "files",
    [
        *([GOOD_FILE | {"name": name}] for name in BAD_NAMES),
        *([GOOD_FILE | {"name": "there.png", "number": number}] for number in BAD_NUMBERS),
        *BAD_LISTS,
    ],
    ids=repr,
)
async def test_a_record_that_someone_changed_does_no_harm(
    files: Any, layer: LayerClient, media: Media, folder: Path
) -> None:
    folder.mkdir(parents=True)
    (folder.parent / "secret.png").write_bytes(b"secret")
    (folder / "there.png").write_bytes(b"there")
    text = json.dumps({"run_id": RUN_ID, "files": files})
    (folder / "a-red-potion-1234abcd.json").write_text(text)
    saved = await save(layer, run_of(media.output("/a", b"one")), folder)
    assert [saved.path(file).read_bytes() for file in saved.files] == [b"one"]
    assert (folder.parent / "secret.png").read_bytes() == b"secret"


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "[" * 100_000, "\ud800", '{"files": []}'])
async def test_a_record_that_cannot_be_read_is_none(text: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    record = folder / "a-red-potion-1234abcd.json"
    record.write_bytes(text.encode(errors="surrogatepass"))
    assert earlier_saved(folder, RUN_ID) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")
async def test_a_pipe_in_a_records_place_is_not_waited_for(folder: Path) -> None:
    folder.mkdir(parents=True)
    os.mkfifo(folder / "a-red-potion-1234abcd.json")
    assert earlier_saved(folder, RUN_ID) is None


async def test_a_folder_that_cannot_be_made_is_named_with_its_setting(
    layer: LayerClient, media: Media, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LayerError) as caught:
        await save(layer, run_of(media.output("/a", b"one")), tmp_path / "file" / "icons")
    assert caught.value.code == "FOLDER_NOT_WRITABLE"
    assert "LAYER_OUTPUT_DIR" in caught.value.next_step
    assert media.asked == []


@pytest.mark.parametrize(
    ("name", "age_seconds", "is_kept"),
    [
        (f".{'0f' * 16}.part", 3700, False),
        (f".{'0f' * 16}.part", 3500, True),
        (f"{'0f' * 16}.part", 3700, True),
        (f".{'0F' * 16}.part", 3700, True),
        (f".{'0f' * 16}.partial", 3700, True),
        (f".{'0f' * 15}.part", 3700, True),
    ],
)
async def test_only_what_a_killed_process_left_long_ago_is_removed(
    name: str, age_seconds: float, is_kept: bool, layer: LayerClient, media: Media, folder: Path
) -> None:
    folder.mkdir(parents=True)
    (folder / name).write_bytes(b"half")
    when = time.time() - age_seconds
    os.utime(folder / name, (when, when))
    await save(layer, run_of(media.output("/a", b"one")), folder)
    assert (folder / name).exists() == is_kept


async def limited(media: Media, folder: Path, limit: str) -> str:
    command = [sys.executable, "-c", LIMITED, media.address, str(folder), limit]
    done = await anyio.run_process(command, stderr=None)
    return done.stdout.decode()


@pytest.mark.skipif(os.name != "posix", reason="no limit of a file's size here")
async def test_a_full_disk_is_named_and_small_files_still_come(media: Media, folder: Path) -> None:
    media.output("/small", b"one")
    media.output("/large", bytes(3 * MEGABYTE))
    said = await limited(media, folder, "size")
    assert said == "potion-1234abcd-1.png DISK_FULL OUTPUT_GONE\n"
    assert names(folder) == ["potion-1234abcd-1.png", "potion-1234abcd.json"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
async def test_a_folder_of_another_user_cannot_be_written(media: Media, folder: Path) -> None:
    folder.mkdir(parents=True)
    said = await limited(media, folder, "user")
    assert said.startswith("FOLDER_NOT_WRITABLE ")
    assert "LAYER_OUTPUT_DIR" in said
    assert (names(folder), media.asked) == ([], [])
