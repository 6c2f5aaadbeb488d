"""Which local paths may be read, and where outputs and records go."""

import os
import subprocess
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from layer_mcp import LayerError, Settings
from layer_mcp.errors import ERROR_CODES
from layer_mcp.files.paths import (
    Folders,
    input_folders,
    leads_to_network,
    output_folder,
    resolve_input,
    state_folder,
)

# A user without an entry in the list of users, and so without a home.
HOMELESS = """
import os, sys
from pathlib import Path
import platformdirs
from layer_mcp import LayerError, Settings
from layer_mcp.files.paths import resolve_input, input_folders, output_folder, state_folder
os.environ.clear()
os.chdir("/tmp")
os.setuid(54321)
settings = Settings()
def code(call, *arguments):
    try:
        return call(*arguments)
    except LayerError as error:
        return error.code
    except RuntimeError as error:
        return error
print(code(output_folder, settings))
print(code(state_folder, settings))
print(*code(input_folders, settings))
os.chdir("/")
print(code(input_folders, settings))
print(code(resolve_input, "~/a.png", [Path("/tmp")]))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An allowed folder with one file, and a secret next to it."""
    folder = tmp_path / "allowed"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"a")
    (tmp_path / "secret.png").write_bytes(b"s")
    return folder


def failure(path: str, *folders: Path) -> LayerError:
    with pytest.raises(LayerError) as caught:
        resolve_input(path, folders)
    error = caught.value
    assert error.code in ERROR_CODES
    assert error.message.endswith(".")
    assert "\0" not in error.message
    return error


def test_a_file_below_an_allowed_folder_may_be_read(root: Path) -> None:
    assert resolve_input(str(root / "a.png"), [root]) == root / "a.png"


def test_a_relative_path_is_one_below_an_allowed_folder(root: Path) -> None:
    assert resolve_input("a.png", [root]) == root / "a.png"


def test_a_relative_path_is_found_in_the_second_folder(root: Path, tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    assert resolve_input("a.png", [tmp_path / "first", root]) == root / "a.png"


def test_spaces_around_a_path_do_not_count(root: Path) -> None:
    assert resolve_input(f" {root}/a.png\n", [root]) == root / "a.png"


@pytest.mark.parametrize("name", ["grüner Trank.png", "緑 の 薬.png", "100% #1?.png"])
def test_a_name_may_have_any_letters_and_spaces(name: str, root: Path) -> None:
    (root / name).touch()
    assert resolve_input(name, [root]) == root / name
    assert resolve_input((root / name).as_uri(), [root]) == root / name


@pytest.mark.parametrize(
    "path",
    [
        "../secret.png",
        "sub/../../secret.png",
        "./.././secret.png",
        "{root}/../secret.png",
        "{parent}/secret.png",
        "{parent}",
        "{root}-twin/a.png",
        "/etc/passwd",
        "/proc/self/environ",
        "/dev/stdin",
        "file://{parent}/secret.png",
        "file:{parent}/secret.png",
        "FILE://localhost{parent}/secret.png",
        "file://{root}/%2e%2e/secret.png",
        "file:../secret.png",
    ],
)
def test_what_is_outside_the_folders_is_not_read(path: str, root: Path) -> None:
    Path(f"{root}-twin").mkdir()
    Path(f"{root}-twin", "a.png").touch()
    error = failure(path.format(root=root, parent=root.parent), root)
    assert error.code == "PATH_NOT_ALLOWED"
    assert str(root) in error.message
    assert "LAYER_INPUT_DIRS" in error.next_step


def test_the_error_reveals_nothing_about_what_is_outside(root: Path) -> None:
    there, not_there = failure("../secret.png", root), failure("../absent.png", root)
    assert there.message.replace("secret", "absent") == not_there.message


def test_a_link_that_leads_out_is_not_followed(root: Path) -> None:
    (root / "link.png").symlink_to(root.parent / "secret.png")
    assert failure("link.png", root).code == "PATH_NOT_ALLOWED"


def test_a_linked_folder_that_leads_out_is_not_followed(root: Path) -> None:
    (root / "up").symlink_to(root.parent)
    assert failure("up/secret.png", root).code == "PATH_NOT_ALLOWED"


def test_a_link_that_stays_inside_leads_to_its_file(root: Path) -> None:
    (root / "link.png").symlink_to("a.png")
    assert resolve_input("link.png", [root]) == root / "a.png"


def test_an_allowed_folder_may_be_a_link_itself(root: Path) -> None:
    (root.parent / "short").symlink_to(root)
    folders = Folders.pin(Settings(input_dirs=(str(root.parent / "short"),))).input_roots()
    assert resolve_input("a.png", folders) == root / "a.png"
    assert resolve_input(str(root.parent / "short" / "a.png"), folders) == root / "a.png"


def test_a_link_that_leads_out_of_one_folder_is_not_looked_up_in_the_next(
    root: Path, tmp_path: Path
) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "a.png").symlink_to(tmp_path / "secret.png")
    assert failure("a.png", tmp_path / "first", root).code == "PATH_NOT_ALLOWED"


SHARE = PureWindowsPath(r"\\nas\art")


@pytest.mark.parametrize(
    "path",
    [
        r"\\evil\share\a.png",
        "//evil/share/a.png",
        r"\/evil\share\a.png",
        r"\\nas\other\a.png",
        r"\\?\UNC\evil\share\a.png",
        r"\\?\C:\a.png",
        r"\\.\pipe\a",
    ],
)
def test_a_share_that_no_folder_is_on_is_not_looked_at(path: str) -> None:
    assert leads_to_network(PureWindowsPath(path), [PureWindowsPath("C:/art"), SHARE])


@pytest.mark.parametrize("path", [r"\\NAS\Art\a.png", "//nas/art/b/../a.png", "C:/a.png", "a.png"])
def test_a_folder_of_a_share_and_the_own_disks_may_be_looked_at(path: str) -> None:
    assert not leads_to_network(PureWindowsPath(path), [SHARE])


def test_two_slashes_are_no_share_where_paths_have_no_drives() -> None:
    assert not leads_to_network(PurePosixPath("//evil/share/a.png"), [])


def test_a_circle_of_links_leads_nowhere(root: Path) -> None:
    (root / "x").symlink_to("y")
    (root / "y").symlink_to("x")
    try:
        assert not resolve_input("x", [root]).exists()
    except LayerError as error:
        assert error.code == "PATH_NOT_ALLOWED"  # noqa: PT017  (either is right)


def test_a_file_that_is_not_there_keeps_its_place_in_the_first_folder(
    root: Path, tmp_path: Path
) -> None:
    (tmp_path / "second").mkdir()
    assert resolve_input("b.png", [root, tmp_path / "second"]) == root / "b.png"


@pytest.mark.parametrize("name", ["a" * 300, "a" * 5000, "a/" * 3000])
def test_a_name_that_is_too_long_is_left_to_the_reader(name: str, root: Path) -> None:
    assert resolve_input(name, [root]).is_relative_to(root)


def test_a_long_path_is_shown_in_part_only(root: Path) -> None:
    assert len(failure("/x" * 3000, root).message) < 600


@pytest.mark.parametrize("path", ["a\0.png", "file:///a%00.png", "\0"])
def test_a_path_with_nul_is_no_path(path: str, root: Path) -> None:
    assert failure(path, root).code == "FILE_NOT_FOUND"


def test_half_a_surrogate_pair_is_no_path(root: Path) -> None:
    assert failure("\ud800.png", root).code == "PATH_NOT_ALLOWED"


@pytest.mark.parametrize(
    "address",
    [
        "https://media.app.layer.ai/a.png",
        "http://127.0.0.1/a.png",
        " HTTPS://x.test/a.png",
        "data:image/png;base64,iVBORw0KGgo=",
        "blob:https://x.test/1",
    ],
)
def test_an_address_is_no_local_path_and_the_next_step_is_another(address: str, root: Path) -> None:
    error = failure(address, root)
    assert (error.code, "address" in error.message) == ("PATH_NOT_ALLOWED", True)
    assert "file_id" in error.next_step


def test_a_long_data_address_is_not_repeated(root: Path) -> None:
    assert len(failure("data:image/png;base64," + "A" * 10_000, root).message) < 400


@pytest.mark.parametrize("form", ["file://{}/a.png", "file:{}/a.png", "FILE://localhost{}/a.png"])
def test_a_file_address_is_a_local_path(form: str, root: Path) -> None:
    assert resolve_input(form.format(root), [root]) == root / "a.png"


def test_a_file_of_another_machine_is_refused(root: Path) -> None:
    error = failure(f"file://server{root}/a.png", root)
    assert (error.code, "another machine" in error.message) == ("PATH_NOT_ALLOWED", True)


def test_a_broken_file_address_is_no_path(root: Path) -> None:
    assert failure("file://[", root).code == "FILE_NOT_FOUND"


def test_the_home_folder_has_its_sign(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(root))
    assert resolve_input("~/a.png", [root]) == root / "a.png"


def test_the_home_of_nobody_is_no_path(root: Path) -> None:
    assert failure("~no-such-user-here/a.png", root).code == "FILE_NOT_FOUND"


def test_folders_that_are_set_replace_the_current_one_but_not_the_output_folder(
    root: Path,
) -> None:
    settings = Settings(input_dirs=(str(root), "/else"), output_dir="/out")
    assert input_folders(settings) == (root, Path("/else"), Path("/out"))


def test_an_output_folder_that_is_also_an_input_folder_is_listed_once(root: Path) -> None:
    settings = Settings(input_dirs=(str(root),), output_dir=str(root))
    assert input_folders(settings) == (root,)


def test_a_folder_that_is_set_may_be_below_the_home(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(root))
    monkeypatch.chdir(root)
    read = input_folders(Settings(input_dirs=("~/art", "raw")))
    assert read == (root / "art", root / "raw", root / "Layer")


def test_usual_are_the_current_folder_and_the_output_folder(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    assert input_folders(Settings(output_dir="/out")) == (root, Path("/out"))


def test_the_root_of_the_disk_is_not_a_usual_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert input_folders(Settings(output_dir="/out")) == (Path("/out"),)


def test_a_current_folder_that_was_taken_away_does_not_count(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "gone").mkdir()
    monkeypatch.chdir(root / "gone")
    (root / "gone").rmdir()
    assert input_folders(Settings(output_dir="/out")) == (Path("/out"),)


def test_outputs_go_below_the_home_folder_by_themselves(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(root))
    assert output_folder(Settings()) == root / "Layer"


def test_the_output_folder_is_absolute(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(root))
    monkeypatch.chdir(root)
    folders = [output_folder(Settings(output_dir=text)) for text in ("~/icons", "icons")]
    assert folders == [root / "icons", root / "icons"]


def test_an_output_folder_without_a_home_folder_is_an_error() -> None:
    with pytest.raises(LayerError) as caught:
        output_folder(Settings(output_dir="~no-such-user-here/icons"))
    assert caught.value.code == "FOLDER_NOT_WRITABLE"
    assert "LAYER_OUTPUT_DIR" in caught.value.next_step


def test_records_have_a_folder_of_their_own_that_can_be_set(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(root))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    usual = state_folder(Settings())
    assert usual is not None
    assert usual.is_relative_to(root)
    assert state_folder(Settings(state_dir="~/state")) == root / "state"


def test_a_simulated_layer_leaves_no_records() -> None:
    assert state_folder(Settings(sandbox=True, state_dir="/state")) is None


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_without_a_home_only_the_current_folder_is_left() -> None:
    command = [sys.executable, "-c", HOMELESS]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "FOLDER_NOT_WRITABLE",
        "there is no home folder; set LAYER_STATE_DIR",
        "/tmp",
        "FOLDER_NOT_WRITABLE",
        "FILE_NOT_FOUND",
    ]


def test_an_empty_home_is_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "")
    with pytest.raises(LayerError, match="no home folder"):
        output_folder(Settings())
    with pytest.raises(RuntimeError, match="no home folder"):
        state_folder(Settings())
