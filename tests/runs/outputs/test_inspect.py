"""What a download is by its bytes: types that were declared wrongly, pages, empty and cut files."""

import hashlib
import io
import json
import socket
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from layer_mcp import LayerClient
from layer_mcp.api.models import Output
from layer_mcp.runs.outputs import SavedOutputs

from ...support.media_host import ONE, RUN_ID, Media, names_in, record_of, run_of, save
from ...support.raw_servers import http_answer, raw_server

pytestmark = pytest.mark.anyio

PAGE = b"<!doctype html><title>Sign in</title>"
MP3 = (Path(__file__).parents[2] / "support/sounds/cbr.mp3").read_bytes()
CLIP = (files("layer_mcp.sandbox") / "clip.mp4").read_bytes()
ZSTD = b"\x28\xb5\x2f\xfd" + bytes(60)
ZIP = b"PK\x03\x04\x14" + bytes(60)
OBJ = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"


def picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "declared", "extension", "content_type"),
    [
        (picture("JPEG"), "image/png", "jpg", "image/jpeg"),
        (picture("WEBP"), "image/png", "webp", "image/webp"),
        (picture("GIF"), "image/png", "gif", "image/gif"),
        (picture("TIFF"), "image/png", "tiff", "image/tiff"),
        (picture("PNG"), None, "png", "image/png"),
        (picture("PNG"), "application/octet-stream", "png", "image/png"),
        (MP3, "audio/wav", "mp3", "audio/mpeg"),
        (CLIP, "audio/mpeg", "mp4", "video/mp4"),
        (ZSTD, "application/x-blender", "blend", "application/x-blender"),
        (ZSTD, "image/png", "zst", "application/zstd"),
        (ZIP, "application/octet-stream", "zip", "application/zip"),
        (ZIP, "model/vnd.usdz+zip", "usdz", "model/vnd.usdz+zip"),
        (OBJ, "model/gltf-binary", "obj", "model/obj"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/png", "svg", "image/svg+xml"),
    ],
)
async def test_detects_a_files_type_from_its_bytes(
    content: bytes,
    declared: str | None,
    extension: str,
    content_type: str,
    layer: LayerClient,
    media: Media,
    folder: Path,
) -> None:
    saved = await save(layer, run_of(media.output("/a", content, declared)), folder)
    [file] = saved.files
    assert (file.name.rpartition(".")[2], file.content_type) == (extension, content_type)


@pytest.mark.parametrize(
    ("declared", "told"),
    [("image/png", "image/png"), ("Image/JPEG; q=1", None), (None, None), ("image/jpg", None)],
)
async def test_records_only_differences_from_the_declared_facts(
    declared: str | None, told: str | None, layer: LayerClient, media: Media, folder: Path
) -> None:
    saved = await save(layer, run_of(media.output("/a", picture("JPEG"), declared)), folder)
    assert saved.files[0].declared_type == told
    assert record_of(saved)["files"][0].get("declared_type") == told


async def test_saves_a_file_of_unknown_type_as_declared(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    saved = await save(layer, run_of(media.output("/a", bytes(99), "video/mp4")), folder)
    assert saved.files[0].name.endswith(".mp4")


async def save_answer(
    layer: LayerClient, folder: Path, content: bytes, **facts: Any
) -> SavedOutputs:
    """Save an answer that is as long as its connection."""
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + content
    with raw_server(lambda connection: connection.sendall(answer)) as host:
        output = Output(url=f"http://127.0.0.1:{host.port}/a", **facts)
        saved = await save(layer, run_of(output), folder)
    assert len(names_in(folder)) == 2 * len(saved.files)
    return saved


def reasons(saved: SavedOutputs) -> list[str]:
    return [failure.error.message for failure in saved.failures]


async def test_an_empty_file_is_not_saved(layer: LayerClient, folder: Path) -> None:
    saved = await save_answer(layer, folder, b"", content_type="image/png")
    assert reasons(saved) == ["The media host sent an empty file."]


async def test_a_file_that_ends_early_is_not_saved(layer: LayerClient, folder: Path) -> None:
    saved = await save_answer(layer, folder, ONE, file_size_bytes=len(ONE) + 1)
    assert reasons(saved) == ["The file arrived incomplete."]


async def test_does_not_save_a_file_shorter_than_announced(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    output = media.output("/a", ONE[:-20]).model_copy(update={"file_size_bytes": len(ONE)})
    saved = await save(layer, run_of(output), folder)
    assert reasons(saved) == ["The file is shorter than Layer declared."]


@pytest.mark.parametrize("facts", [{"file_size_bytes": len(ONE)}, {}], ids=["known", "unknown"])
async def test_a_file_without_a_length_is_saved_when_its_size_fits_or_is_not_known(
    facts: dict[str, int], layer: LayerClient, folder: Path
) -> None:
    assert reasons(await save_answer(layer, folder, ONE, **facts)) == []


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (PAGE, "a web page"),
        (b"\r\n <html>", "a web page"),
        (b"\xef\xbb\xbf<html>", "a web page"),
        (b"<?xml version='1.0'?><Error/>", "text"),
        (b'{"error": "expired"}', "JSON"),
        (b"Not found, sorry about that.", "text"),
        (b"\x7fELF\x02\x01\x01" + bytes(99), "a program"),
        (b"MZ" + bytes(99), "a program"),
    ],
)
@pytest.mark.parametrize(
    "content_type", ["image/png", "Image/JPEG", "video/mp4", "model/gltf-binary", "audio/wav"]
)
async def test_does_not_save_a_page_or_a_program_as_media(
    content: bytes, what: str, content_type: str, layer: LayerClient, folder: Path
) -> None:
    saved = await save_answer(layer, folder, content, content_type=content_type)
    assert reasons(saved) == [f"The media host sent {what} instead of the file."]


async def test_a_page_that_names_its_version_is_not_kept_for_the_next_call(
    layer: LayerClient, folder: Path
) -> None:
    headers = ('ETag: "v1"', "Content-Type: text/html")
    answers = [http_answer("200 OK", PAGE, *headers), http_answer("200 OK", ONE)]

    def answer(connection: socket.socket) -> None:
        answers.pop(0)(connection)

    with raw_server(answer) as host:
        run = run_of(Output(url=f"http://127.0.0.1:{host.port}/a", content_type="image/png"))
        first = await save(layer, run, folder)
        second = await save(layer, run, folder)
    assert (len(first.files), len(second.files)) == (0, 1)
    assert second.path(second.files[0]).read_bytes() == ONE


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"<svg/>", "image/svg+xml"),
        (b'{"scene": "a tavern"}', "application/json"),
        (b"Once upon a time.", "text/plain"),
        (b'{"asset": {"version": "2.0"}}', "model/gltf+json"),
    ],
)
async def test_text_that_was_declared_as_such_is_saved(
    content: bytes, content_type: str, layer: LayerClient, folder: Path
) -> None:
    saved = await save_answer(layer, folder, content, content_type=content_type)
    assert (reasons(saved), len(saved.files)) == ([], 1)


def write_older_record(folder: Path, content: bytes, sha256: str) -> Path:
    """Write what an earlier version saved when a host answered with a page."""
    folder.mkdir(parents=True)
    path = folder / "a-red-potion-1234abcd-1.png"
    path.write_bytes(content)
    file = {
        "number": 1,
        "name": path.name,
        "file_id": "file-/a",
        "url": None,
        "content_type": "image/png",
        "size_bytes": len(content),
        "sha256": sha256,
    }
    record = {"run_id": RUN_ID, "files": [file]}
    (folder / "a-red-potion-1234abcd.json").write_text(json.dumps(record))
    return path


@pytest.mark.parametrize("content", [PAGE, b""], ids=["a page", "nothing"])
async def test_downloads_wrongly_saved_files_again(
    content: bytes, layer: LayerClient, media: Media, folder: Path
) -> None:

    path = write_older_record(folder, content, hashlib.sha256(content).hexdigest())
    saved = await save(layer, run_of(media.output("/a", ONE)), folder)
    assert path.read_bytes() == ONE
    assert [file.name for file in saved.files] == [path.name]


async def test_does_not_touch_a_wrong_file_that_was_changed_since(
    layer: LayerClient, media: Media, folder: Path
) -> None:
    path = write_older_record(folder, PAGE, "0" * 64)
    await save(layer, run_of(media.output("/a", ONE)), folder)
    assert path.read_bytes() == PAGE
