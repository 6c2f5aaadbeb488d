"""A file that is about to be uploaded: what is let through, and that it is read as it was."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from layer_mcp import LayerError
from layer_mcp.errors import ERROR_CODES
from layer_mcp.files.folders import PrivateFolders
from layer_mcp.files.local_files import LocalFile, open_media_file

from ..support.sandbox_calls import png, png_with

PNG = png("red")
# Reads a file as a user who owns nothing.
AS_NOBODY = """
import os, sys
from pathlib import Path
from layer_mcp import LayerError
from layer_mcp.files.folders import PrivateFolders
from layer_mcp.files.local_files import open_media_file
os.seteuid(65534)
try:
    with open_media_file(Path(sys.argv[1]), private=PrivateFolders()):
        print("read")
except LayerError as error:
    print(error.code)
"""


def failure(path: Path, max_bytes: int = 1_000_000) -> LayerError:
    with (
        pytest.raises(LayerError) as caught,
        open_media_file(path, max_bytes=max_bytes, private=PrivateFolders()),
    ):
        pass
    error = caught.value
    assert error.code in ERROR_CODES
    assert error.message.endswith(".")
    assert str(path) in error.message
    return error


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def all_of(file: LocalFile) -> bytes:
    content = b""
    while len(content) < file.size_bytes:
        content += file.read_from(len(content))
    return content


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_type_size_and_hash_are_those_of_the_content(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jpg", PNG)
    with open_media_file(path, private=PrivateFolders()) as file:
        assert (file.content_type, file.size_bytes) == ("image/png", len(PNG))
        assert file.sha256() == hashlib.sha256(PNG).hexdigest()


def test_reads_bounded_parts_of_a_file_from_any_offset(tmp_path: Path) -> None:
    content = png_with(os.urandom(2_500_000))
    with open_media_file(written(tmp_path / "a.png", content), private=PrivateFolders()) as file:
        assert all_of(file) == content
        assert file.read_from(10) == content[10 : 10 + 1024 * 1024]


@pytest.mark.parametrize("name", ["grüner Trank.png", "緑 の 薬.png", "a'b\"c$d.png"])
def test_a_name_may_have_any_letters_and_spaces(name: str, tmp_path: Path) -> None:
    with open_media_file(written(tmp_path / name, PNG), private=PrivateFolders()) as file:
        assert file.path.name == name


def test_reports_a_missing_file(tmp_path: Path) -> None:
    assert failure(tmp_path / "a.png").code == "FILE_NOT_FOUND"


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    written(tmp_path / "a.png", PNG)
    assert failure(tmp_path / "a.png" / "b.png").code == "FILE_NOT_FOUND"


@pytest.mark.parametrize("name", ["a\0.png", "\ud800.png"], ids=["NUL", "half a pair"])
def test_a_name_that_no_file_can_have_is_not_found(name: str, tmp_path: Path) -> None:
    assert failure(tmp_path / name).code == "FILE_NOT_FOUND"


def test_a_name_that_is_too_long_cannot_be_read(tmp_path: Path) -> None:
    assert failure(tmp_path / ("a" * 300)).code == "FILE_UNREADABLE"


def test_a_path_of_thousands_of_folders_is_not_found(tmp_path: Path) -> None:
    assert failure(tmp_path / ("a/" * 3000)).code == "FILE_NOT_FOUND"


def test_a_folder_is_not_a_file_and_leaves_nothing_open(tmp_path: Path) -> None:
    before = descriptors()
    assert failure(tmp_path).code == "NOT_A_FILE"
    assert descriptors() == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")
def test_a_pipe_is_not_a_file_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    assert failure(tmp_path / "a.png").code == "NOT_A_FILE"


def test_a_link_in_place_of_the_checked_file_is_not_followed(tmp_path: Path) -> None:
    written(tmp_path / "secret.png", PNG)
    (tmp_path / "a.png").symlink_to(tmp_path / "secret.png")
    assert failure(tmp_path / "a.png").code == "FILE_UNREADABLE"


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    assert failure(written(tmp_path / "a.png", b"")).code == "FILE_EMPTY"


@pytest.mark.parametrize(
    "content",
    [b"PRIVATE KEY\n" * 20, b"\x89PNG\r\n\x1a\n", b"<svg/>", b"GIF89a" + bytes(60), b"%PDF-1.7\n"],
    ids=["text", "head of a PNG", "SVG", "GIF", "PDF"],
)
def test_a_file_name_does_not_make_a_picture(content: bytes, tmp_path: Path) -> None:
    error = failure(written(tmp_path / "a.png", content))
    assert error.code == "FILE_TYPE_NOT_SUPPORTED"


def test_an_error_shows_nothing_of_the_content(tmp_path: Path) -> None:
    error = failure(written(tmp_path / "a.png", b"hunter2 is the password"))
    assert "hunter2" not in str(error)


def test_accepts_the_largest_size_and_rejects_one_more_byte(tmp_path: Path) -> None:
    path = written(tmp_path / "a.png", PNG)
    with open_media_file(path, max_bytes=len(PNG), private=PrivateFolders()) as file:
        assert file.size_bytes == len(PNG)
    error = failure(path, max_bytes=len(PNG) - 1)
    assert error.code == "FILE_TOO_LARGE"
    assert f"{len(PNG):,} bytes" in error.message
    assert "LAYER_MAX_UPLOAD_MB" in error.next_step


def test_the_default_limit_is_64_mb(tmp_path: Path) -> None:
    path = written(tmp_path / "a.png", PNG)
    os.truncate(path, 64 * 1024 * 1024 + 1)
    with (
        pytest.raises(LayerError, match="FILE_TOO_LARGE"),
        open_media_file(path, private=PrivateFolders()),
    ):
        pass


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_a_file_without_permission_cannot_be_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.png", PNG)
    path.chmod(0o600)
    command = [sys.executable, "-c", AS_NOBODY, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "FILE_UNREADABLE\n"


def grown(path: Path) -> None:
    path.write_bytes(PNG + b"more")


def cut(path: Path) -> None:
    os.truncate(path, 10)


def painted_over(path: Path) -> None:
    changed = path.stat().st_mtime_ns
    path.write_bytes(png("blue"))
    os.utime(path, ns=(changed, changed + 1))


@pytest.mark.parametrize("change", [grown, cut, painted_over])
def test_a_file_that_changes_after_it_was_checked_is_not_read_on(
    change: Callable[[Path], None], tmp_path: Path
) -> None:
    path = written(tmp_path / "a.png", PNG)
    with open_media_file(path, private=PrivateFolders()) as file:
        change(path)
        with pytest.raises(LayerError, match="FILE_CHANGED"):
            file.read_from(0)


def test_reads_the_checked_file_even_if_another_takes_its_name(tmp_path: Path) -> None:
    path = written(tmp_path / "a.png", PNG)
    with open_media_file(path, private=PrivateFolders()) as file:
        written(tmp_path / "b.png", png("blue")).replace(path)
        assert all_of(file) == PNG


def test_an_error_while_a_file_is_open_is_not_attributed_to_it(tmp_path: Path) -> None:
    path = written(tmp_path / "a.png", PNG)
    with pytest.raises(TimeoutError), open_media_file(path, private=PrivateFolders()):
        raise TimeoutError
