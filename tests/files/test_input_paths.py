"""Which file a path means, and which files may be read."""

import os
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from layer_mcp import LayerError, Settings
from layer_mcp.errors import ERROR_CODES
from layer_mcp.files.folders import PrivateFolders
from layer_mcp.files.input_paths import leads_to_network, resolve_input
from layer_mcp.files.paths import Folders


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An allowed folder with one file, and a secret next to it."""
    folder = tmp_path / "allowed"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"a")
    (tmp_path / "secret.png").write_bytes(b"s")
    return folder


# What macOS puts before "PM" in the names of screenshots.
NARROW_BLANK = "\u202f"
DECOMPOSED, COMPOSED = "gru\u0308n.png", "gr\u00fcn.png"


def failure(path: str, *folders: Path) -> LayerError:
    with pytest.raises(LayerError) as caught:
        resolve_input(path, folders)
    error = caught.value
    assert error.code in ERROR_CODES
    assert error.message.endswith((".", "?"))
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
def test_does_not_read_files_outside_the_folders(path: str, root: Path) -> None:
    Path(f"{root}-twin").mkdir()
    Path(f"{root}-twin", "a.png").touch()
    error = failure(path.format(root=root, parent=root.parent), root)
    assert error.code == "PATH_NOT_ALLOWED"
    assert str(root) in error.message
    assert "LAYER_INPUT_DIRS" in error.next_step


def test_the_error_reveals_nothing_about_files_outside(root: Path) -> None:
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
def test_does_not_access_a_share_without_allowed_folders(path: str) -> None:
    assert leads_to_network(PureWindowsPath(path), [PureWindowsPath("C:/art"), SHARE])


@pytest.mark.parametrize("path", [r"\\NAS\Art\a.png", "//nas/art/b/../a.png", "C:/a.png", "a.png"])
def test_may_access_a_folders_own_share_and_local_disks(path: str) -> None:
    assert not leads_to_network(PureWindowsPath(path), [SHARE])


def test_two_slashes_are_not_a_share_on_systems_without_drives() -> None:
    assert not leads_to_network(PurePosixPath("//evil/share/a.png"), [])


def test_circular_links_do_not_resolve(root: Path) -> None:
    (root / "x").symlink_to("y")
    (root / "y").symlink_to("x")
    assert failure("x", root).code == "PATH_NOT_ALLOWED"


def test_a_missing_file_is_named_in_the_first_folder(root: Path, tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    for path in ("b.gif", ' "b.gif" ', r"b\.gif"):
        error = failure(path, root, tmp_path / "second")
        assert error.message == f"There is no file {root}/b.gif."


@pytest.mark.parametrize("name", ["a" * 300, "a" * 5000, "a/" * 3000])
def test_no_file_has_a_name_that_is_too_long(name: str, root: Path) -> None:
    assert failure(name, root).code == "FILE_NOT_FOUND"


def test_a_long_path_is_shown_in_part_only(root: Path) -> None:
    assert len(failure("/x" * 3000, root).message) < 600


@pytest.mark.parametrize("path", ["a\0.png", "file:///a%00.png", "\0"])
def test_rejects_a_path_with_nul(path: str, root: Path) -> None:
    assert failure(path, root).code == "FILE_NOT_FOUND"


def test_half_a_surrogate_pair_is_not_a_path(root: Path) -> None:
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
def test_a_url_is_not_a_local_path_and_has_its_own_next_step(address: str, root: Path) -> None:
    error = failure(address, root)
    assert (error.code, "URL" in error.message) == ("PATH_NOT_ALLOWED", True)
    assert "file_id" in error.next_step


def test_a_long_data_address_is_not_repeated(root: Path) -> None:
    assert len(failure("data:image/png;base64," + "A" * 10_000, root).message) < 400


@pytest.mark.parametrize("form", ["file://{}/a.png", "file:{}/a.png", "FILE://localhost{}/a.png"])
def test_a_file_url_is_a_local_path(form: str, root: Path) -> None:
    assert resolve_input(form.format(root), [root]) == root / "a.png"


def test_rejects_a_file_from_another_machine(root: Path) -> None:
    error = failure(f"file://server{root}/a.png", root)
    assert (error.code, "another machine" in error.message) == ("PATH_NOT_ALLOWED", True)


def test_a_malformed_file_url_is_not_a_path(root: Path) -> None:
    assert failure("file://[", root).code == "FILE_NOT_FOUND"


def test_the_home_folder_has_its_sign(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(root))
    assert resolve_input("~/a.png", [root]) == root / "a.png"


def test_the_home_folder_of_an_unknown_user_is_not_a_path(root: Path) -> None:
    assert failure("~no-such-user-here/a.png", root).code == "FILE_NOT_FOUND"


@pytest.mark.skipif(os.name == "nt", reason="Windows removes blanks at the end of a name")
@pytest.mark.parametrize("exact", ["a.png ", " a.png", '"a.png"', r"a\ b.png", "'a.png'"])
def test_the_exact_path_comes_first(exact: str, root: Path) -> None:
    (root / "a b.png").touch()
    (root / exact).touch()
    assert resolve_input(exact, [root]) == root / exact
    assert resolve_input(f"{root}/{exact}", [root]) == root / exact


@pytest.mark.skipif(os.name == "nt", reason="a backslash separates folders there")
@pytest.mark.parametrize(
    "path",
    ['"{}/a b.png"', "'{}/a b.png'", r"{}/a\ b.png", "'file://{}/a%20b.png'", ' "{}/a b.png"\n'],
)
def test_removes_a_shells_quotes_and_backslashes_from_a_path(path: str, root: Path) -> None:
    (root / "a b.png").touch()
    assert resolve_input(path.format(root), [root]) == root / "a b.png"


@pytest.mark.parametrize("path", ["'{}/secret.png'", r"{}/secret\.png", '"../secret.png"'])
def test_a_path_in_quotes_is_not_read_outside_the_folders(path: str, root: Path) -> None:
    assert failure(path.format(root.parent), root).code == "PATH_NOT_ALLOWED"


@pytest.mark.parametrize(
    ("on_disk", "asked"),
    [
        (f"shot at 9.41{NARROW_BLANK}PM.png", "shot at 9.41 PM.png"),
        ("shot at 9.41 PM.png", f"shot at 9.41{NARROW_BLANK}PM.png"),
        ("shot\u00a0at\u00a0noon.png", "shot at noon.png"),
        (DECOMPOSED, COMPOSED),
        (COMPOSED, DECOMPOSED),
        (f"{NARROW_BLANK}{DECOMPOSED}/{DECOMPOSED}", f" {COMPOSED}/{COMPOSED}"),
    ],
)
def test_spaces_and_accents_may_differ_from_the_disk(on_disk: str, asked: str, root: Path) -> None:
    (root / on_disk).parent.mkdir(exist_ok=True)
    (root / on_disk).touch()
    assert resolve_input(asked, [root]) == root / on_disk
    assert resolve_input(str(root / asked), [root]) == root / on_disk


def test_the_exact_name_comes_before_a_similar_one(root: Path) -> None:
    (root / COMPOSED).touch()
    (root / DECOMPOSED).touch()
    assert resolve_input(COMPOSED, [root]) == root / COMPOSED
    assert resolve_input(DECOMPOSED, [root]) == root / DECOMPOSED


def test_chooses_neither_of_two_similar_names(root: Path) -> None:
    (root / f"a{NARROW_BLANK}b.png").touch()
    (root / "a\u00a0b.png").touch()
    assert failure("a b.png", root).code == "FILE_NOT_FOUND"


def test_a_similar_name_outside_the_folders_is_not_found(root: Path) -> None:
    (root.parent / DECOMPOSED).touch()
    (root / "up\u00a0there").symlink_to(root.parent)
    for path in (f"../{COMPOSED}", str(root.parent / COMPOSED)):
        assert failure(path, root).code == "PATH_NOT_ALLOWED"
    error = failure(f"up there/{COMPOSED}", root)
    assert DECOMPOSED not in error.message


def test_a_similar_name_that_is_a_link_out_of_the_folders_is_not_followed(root: Path) -> None:
    (root / DECOMPOSED).symlink_to(root.parent / "secret.png")
    assert failure(COMPOSED, root).code == "FILE_NOT_FOUND"


@pytest.mark.parametrize("path", ["sword.pgn", "Sword.PNG", "swords.png", "sword"])
def test_suggests_the_nearest_names_in_the_folder(path: str, root: Path) -> None:
    (root / "sword.png").touch()
    error = failure(path, root)
    assert error.code == "FILE_NOT_FOUND"
    assert error.message.endswith('Did you mean "sword.png"?')


def test_hidden_names_are_not_suggested(root: Path) -> None:
    (root / ".sword.png").touch()
    assert "Did you mean" not in failure("sword.png", root).message


def test_names_outside_the_folders_are_not_suggested(root: Path) -> None:
    (root / "up").symlink_to(root.parent)
    for path in ("../secre.png", str(root.parent / "secre.png"), "up/secre.png"):
        assert "secret" not in failure(path, root).message


def test_names_in_the_journals_folder_are_neither_compared_nor_suggested(root: Path) -> None:
    (root / "state").mkdir()
    (root / "state" / DECOMPOSED).touch()
    private = PrivateFolders((root / "state",))
    for name in (COMPOSED, "grun.png"):
        with pytest.raises(LayerError, match="FILE_NOT_FOUND") as caught:
            resolve_input(f"state/{name}", [root], private)
        assert "Did you mean" not in caught.value.message
