"""The entry in a client's file: put in, found again, taken out, and everything else kept."""

import json
import os
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from layer_mcp.clients.catalog import CLIENTS, client_of
from layer_mcp.clients.command import Launch
from layer_mcp.clients.errors import AttachError
from layer_mcp.clients.installing import installation, uninstallation
from layer_mcp.clients.platforms import Platform, System

READERS: dict[str, Callable[[str], Any]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
}
IDS = [client.id for client in CLIENTS]
SYSTEMS: list[System] = ["macos", "windows", "linux"]
LAUNCH = Launch("/opt/läyer mcp/layer-mcp", (), {"LAYER_SANDBOX": "1"})
OTHERS = {
    "json": '{{\n\t"theme": "x",\n\t"{place}": {{\n\t\t"other": {{"command": "y"}}\n\t}}\n}}\n',
    "toml": "model = 'x' # mine\n\n[{place}.other]\ncommand = 'y'\n",
    "yaml": "# mine\nmodel: x\n{place}:\n  other: {{cmd: y, enabled: true}}\n",
}


def others(client: str) -> str:
    """A file of the client with a server of somebody else."""
    row = client_of(client)
    return OTHERS[row.format].format(place=row.place[0])


def install(client: str, path: Path, launch: Launch = LAUNCH) -> None:
    installation(client_of(client), path, "layer", launch).apply()


def uninstall(client: str, path: Path) -> None:
    uninstallation(client_of(client), path, "layer").apply()


def servers(client: str, path: Path) -> dict[str, Any]:
    """The servers of a file as its client would read them."""
    row = client_of(client)
    return READERS[row.format](path.read_text(encoding="utf-8"))[row.place[0]]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("client", IDS)
def test_an_entry_is_what_the_client_reads_and_the_others_stay(
    client: str, system: System, tmp_path: Path
) -> None:
    path = client_of(client).file(Platform(system, tmp_path / "Jörg Müller", {}))
    path.parent.mkdir(parents=True)
    path.write_text(others(client), encoding="utf-8")
    before = servers(client, path)
    install(client, path)
    after = servers(client, path)
    entry = after.pop("layer")
    assert after == before
    assert entry["cmd" if client == "goose" else "command"] == "/opt/läyer mcp/layer-mcp"


@pytest.mark.parametrize("client", IDS)
def test_a_file_is_byte_for_byte_what_it_was_when_the_entry_is_out_again(
    client: str, tmp_path: Path
) -> None:
    path = tmp_path / "config"
    path.write_text(others(client))
    install(client, path)
    uninstall(client, path)
    assert path.read_text() == others(client)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("client", "text"),
    [
        ("cursor", "{}"),
        ("cursor", "{\n}\n"),
        ("cursor", '{"a": 1}'),
        ("zed", "// settings\n"),
        ("codex", "a = 1"),
        ("goose", "extensions:\n"),
        ("goose", ""),
    ],
)
def test_even_what_has_no_servers_yet_comes_back_byte_for_byte(
    client: str, text: str, tmp_path: Path
) -> None:
    path = tmp_path / "config"
    path.write_bytes(text.encode())
    install(client, path)
    uninstall(client, path)
    assert path.read_bytes() == text.encode()


@pytest.mark.parametrize("client", IDS)
def test_a_file_that_was_made_for_the_entry_goes_with_it(client: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "config"
    install(client, path)
    assert set(servers(client, path)) == {"layer"}
    uninstall(client, path)
    assert not path.exists()


@pytest.mark.parametrize("client", IDS)
def test_what_was_changed_since_stays_when_the_entry_is_taken_out(
    client: str, tmp_path: Path
) -> None:
    path = tmp_path / "config"
    path.write_text(others(client))
    install(client, path)
    path.write_text(path.read_text().replace("other", "another"))
    uninstall(client, path)
    assert path.read_text() == others(client).replace("other", "another")


@pytest.mark.parametrize("client", IDS)
def test_a_second_installation_changes_nothing(client: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(others(client))
    install(client, path)
    assert installation(client_of(client), path, "layer", LAUNCH).is_none


def test_a_file_is_kept_beside_it_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text(others("cursor"))
    install("cursor", path)
    assert (tmp_path / "mcp.json.layer-mcp-backup").read_text() == others("cursor")


def test_an_update_keeps_the_backup_from_before_the_entry(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("{}")
    install("cursor", path)
    install("cursor", path, Launch("/new/layer-mcp"))
    assert (tmp_path / "mcp.json.layer-mcp-backup").read_text() == "{}"


@pytest.mark.parametrize("client", IDS)
def test_an_update_keeps_limits_and_what_the_client_wrote_into_the_entry(
    client: str, tmp_path: Path
) -> None:
    path = tmp_path / "config"
    row = client_of(client)
    install(client, path, Launch("/old", (), {"LAYER_MAX_PRICE": "5", "LAYER_API_KEY": "pat_old"}))
    change = installation(row, path, "layer", LAUNCH)
    assert change.new is not None
    assert change.new[row.env_key] == {"LAYER_MAX_PRICE": "5", "LAYER_SANDBOX": "1"}
    path.write_text(path.read_text().replace("/old", "/older"))
    change.file.target.touch()
    install(client, path)
    assert servers(client, path)["layer"][row.env_key] == change.new[row.env_key]


def test_a_key_that_the_client_wrote_into_the_entry_stays(tmp_path: Path) -> None:
    path = tmp_path / "config"
    install("cursor", path)
    path.write_text(path.read_text().replace('"type"', '"disabled": true, "type"'))
    install("cursor", path, Launch("/new/layer-mcp"))
    assert servers("cursor", path)["layer"]["disabled"] is True


@pytest.mark.parametrize("client", IDS)
def test_a_byte_order_mark_stays(client: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    raw = b"\xef\xbb\xbf" + others(client).encode()
    path.write_bytes(raw)
    install(client, path)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf" + others(client)[:6].encode())
    uninstall(client, path)
    assert path.read_bytes() == raw


def test_windows_line_ends_stay(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(others("cursor").replace("\n", "\r\n").encode())
    install("cursor", path)
    raw = path.read_bytes()
    assert raw.count(b"\n") == raw.count(b"\r\n")


def test_a_link_stays_a_link_and_its_file_is_changed(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    real, link = tmp_path / "dotfiles" / "mcp.json", tmp_path / "mcp.json"
    real.write_text(others("cursor"))
    link.symlink_to(real)
    install("cursor", link)
    assert link.is_symlink()
    assert "layer" in servers("cursor", real)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_permissions_stay(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("{}")
    path.chmod(mode)
    install("cursor", path)
    modes = {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()}
    assert modes == {mode}


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    install("cursor", tmp_path / "config")
    assert stat.S_IMODE((tmp_path / "config").stat().st_mode) == 0o600


BROKEN = {
    "json": ('{\n  "a": ,\n}', "line 2, column 8"),
    "toml": ("a = 1\nb = = 2\n", "line 2, column 5"),
    "yaml": ("a: [1\nb: 2\n", "line 2, column 2"),
}


@pytest.mark.parametrize("client", IDS)
def test_a_syntax_error_is_named_by_file_line_and_column_and_nothing_is_written(
    client: str, tmp_path: Path
) -> None:
    text, place = BROKEN[client_of(client).format]
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(AttachError, match=place) as caught:
        install(client, path)
    assert str(path) in caught.value.fact
    assert [file.read_text() for file in tmp_path.iterdir()] == [text]


@pytest.mark.parametrize(
    ("client", "text"),
    [
        ("cursor", '{"mcpServers": []}'),
        ("cursor", '{"mcpServers": "none"}'),
        ("cursor", '{"mcpServers": {"layer": 3}}'),
        ("cursor", "[]"),
        ("cursor", "1"),
        ("codex", "mcp_servers = 1\n"),
        ("codex", "mcp_servers = {}\n"),
        ("codex", 'mcp_servers.layer.command = "x"\n'),
        ("goose", "extensions: [a]\n"),
        ("goose", "- a\n"),
        ("goose", "extensions: &e\n  x: {y: 1}\nz: *e\n"),
        ("goose", "---\na: 1\n...\n"),
    ],
)
def test_servers_that_cannot_be_edited_are_left_alone(
    client: str, text: str, tmp_path: Path
) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(AttachError, match="Nothing was changed"):
        install(client, path)
    assert [file.read_text() for file in tmp_path.iterdir()] == [text]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_a_file_that_is_not_utf_8_is_left_alone(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    raw = '{"a": "grün"}'.encode(encoding)
    path.write_bytes(raw)
    with pytest.raises(AttachError, match="not UTF-8"):
        install("cursor", path)
    assert path.read_bytes() == raw


@pytest.mark.parametrize("mode", [0o444, 0o400])
def test_a_read_only_file_is_left_alone(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("{}")
    path.chmod(mode)
    with pytest.raises(AttachError, match="is read-only"):
        install("cursor", path)
    assert path.read_text() == "{}"


def test_a_read_only_folder_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o555)
    try:
        with pytest.raises(AttachError, match="is read-only"):
            install("cursor", folder / "config")
        assert list(folder.iterdir()) == []
    finally:
        folder.chmod(0o755)


def test_a_folder_in_the_place_of_the_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(AttachError, match="is not a file"):
        install("cursor", tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes")
def test_a_pipe_in_the_place_of_the_file_is_said_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config")
    with pytest.raises(AttachError, match="is not a file"):
        install("cursor", tmp_path / "config")


def test_a_circle_of_links_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(AttachError, match=r"cannot be read|is not a file"):
        install("cursor", tmp_path / "a")


def test_a_link_to_nothing_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    install("cursor", tmp_path / "link")
    assert "layer" in servers("cursor", tmp_path / "real")


@pytest.mark.slow
def test_a_huge_file_is_edited_like_a_small_one(tmp_path: Path) -> None:
    path = tmp_path / "config"
    history = {f"project {number}": ["x" * 100] * 50 for number in range(1000)}
    text = json.dumps({"projects": history, "mcpServers": {"other": {}}}, indent=2)
    path.write_text(text)
    install("claude-code", path)
    assert set(servers("claude-code", path)) == {"other", "layer"}
    uninstall("claude-code", path)
    assert path.read_text() == text


def test_a_file_beyond_all_measure_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "config").open("wb") as file:
        file.truncate(100_000_000)
    with pytest.raises(AttachError, match="100 MB"):
        install("cursor", tmp_path / "config")


def test_a_file_that_changes_between_reading_and_writing_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("{}")
    change = installation(client_of("cursor"), path, "layer", LAUNCH)
    path.write_text('{"a": 1}')
    with pytest.raises(AttachError, match="changed meanwhile"):
        change.apply()
    assert path.read_text() == '{"a": 1}'


def test_a_file_that_gets_another_server_meanwhile_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "config"
    install("cursor", path)
    change = uninstallation(client_of("cursor"), path, "layer")
    path.write_text(others("cursor"))
    with pytest.raises(AttachError, match="changed meanwhile"):
        change.apply()
    assert path.read_text() == others("cursor")


SECRETS = {
    "cursor": '{"mcpServers": {"x": {"env": {"K": "hush \\" hush", "N": 4711}, "args": ["hush"]}}}',
    "vscode": '{\n  "servers": {\n    "x": {"env": {"K": "hush"}}\n  }\n}',
    "codex": "[mcp_servers.x.env]\nK = 'hush'\nL = '''\nhush'''",
    "goose": "extensions: {x: {envs: {K: hush hush, L: 'hush', N: 4711}}}\n",
}


@pytest.mark.parametrize("client", SECRETS)
def test_a_diff_shows_nothing_of_other_servers_and_no_token(client: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(SECRETS[client])
    launch = Launch("/layer-mcp", (), {"LAYER_API_KEY": "pat_hush"})
    first = installation(client_of(client), path, "layer", launch)
    first.apply()
    second = installation(client_of(client), path, "layer", LAUNCH)
    shown = first.diff() + second.diff() + uninstallation(client_of(client), path, "layer").diff()
    assert "hush" not in shown
    assert "4711" not in shown


@pytest.mark.parametrize("client", IDS)
def test_a_diff_shows_the_entry_line_by_line(client: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(others(client))
    shown = installation(client_of(client), path, "layer", LAUNCH).diff()
    added = [line[1:].strip() for line in shown.splitlines() if line.startswith("+")]
    assert any("/opt/läyer mcp/layer-mcp" in line for line in added)
    assert any("LAYER_SANDBOX" in line and "1" in line for line in added)
