"""Installing and uninstalling in a client's file: the entry changes, and all else is kept."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from layer_mcp.clients.catalog import Platform, System, find_client
from layer_mcp.clients.command import ServerCommand
from layer_mcp.clients.errors import ClientConfigError, ForeignEntryError
from layer_mcp.clients.install import plan_install, plan_uninstall
from layer_mcp.clients.redact import redacted_diff

from ..support.client_home import CLIENT_IDS, parse_servers

SYSTEMS: list[System] = ["macos", "windows", "linux"]
COMMAND = ServerCommand("/opt/läyer mcp/layer-mcp", (), {"LAYER_SANDBOX": "1"})
OTHERS = {
    "json": '{{\n\t"theme": "x",\n\t"{key}": {{\n\t\t"other": {{"command": "y"}}\n\t}}\n}}\n',
    "toml": "model = 'x' # mine\n\n[{key}.other]\ncommand = 'y'\n",
    "yaml": "# mine\nmodel: x\n{key}:\n  other: {{cmd: y, enabled: true}}\n",
}


def with_other_server(client: str) -> str:
    """Return a file of the client that has another server."""
    row = find_client(client)
    return OTHERS[row.format].format(key=row.servers_key)


def install(client: str, path: Path, command: ServerCommand = COMMAND) -> None:
    plan_install(find_client(client), path, "layer", command).apply()


def uninstall(client: str, path: Path) -> None:
    plan_uninstall(find_client(client), path, "layer").apply()


def servers(client: str, path: Path) -> dict[str, Any]:
    """Return the servers of a file as its client reads them."""
    return parse_servers(client, path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("client", CLIENT_IDS)
def test_installing_adds_an_entry_that_the_client_reads_and_keeps_the_others(
    client: str, system: System, tmp_path: Path
) -> None:
    path = find_client(client).file(Platform(system, tmp_path / "Jörg Müller", {}))
    path.parent.mkdir(parents=True)
    path.write_text(with_other_server(client), encoding="utf-8")
    before = servers(client, path)
    install(client, path)
    after = servers(client, path)
    entry = after.pop("layer")
    assert after == before
    assert entry["cmd" if client == "goose" else "command"] == "/opt/läyer mcp/layer-mcp"


@pytest.mark.parametrize("client", CLIENT_IDS)
def test_uninstalling_restores_every_byte_of_a_file_with_other_servers(
    client: str, tmp_path: Path
) -> None:
    path = tmp_path / "config"
    path.write_text(with_other_server(client))
    install(client, path)
    uninstall(client, path)
    assert path.read_text() == with_other_server(client)
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
def test_uninstalling_restores_every_byte_of_a_file_that_had_no_servers(
    client: str, text: str, tmp_path: Path
) -> None:
    path = tmp_path / "config"
    path.write_bytes(text.encode())
    install(client, path)
    uninstall(client, path)
    assert path.read_bytes() == text.encode()


@pytest.mark.parametrize("client", CLIENT_IDS)
def test_uninstalling_deletes_a_file_that_installing_created(client: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "config"
    install(client, path)
    assert set(servers(client, path)) == {"layer"}
    uninstall(client, path)
    assert not path.exists()


@pytest.mark.parametrize("client", CLIENT_IDS)
def test_uninstalling_keeps_what_was_changed_after_installing(client: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(with_other_server(client))
    install(client, path)
    path.write_text(path.read_text().replace("other", "another"))
    uninstall(client, path)
    assert path.read_text() == with_other_server(client).replace("other", "another")


@pytest.mark.parametrize("client", CLIENT_IDS)
def test_installing_again_changes_nothing(client: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(with_other_server(client))
    install(client, path)
    assert plan_install(find_client(client), path, "layer", COMMAND).is_empty


def test_installing_saves_a_backup_next_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text(with_other_server("cursor"))
    install("cursor", path)
    assert (tmp_path / "mcp.json.layer-mcp-backup").read_text() == with_other_server("cursor")


def test_updating_keeps_the_backup_from_before_the_entry(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("{}")
    install("cursor", path)
    install("cursor", path, ServerCommand("/new/layer-mcp"))
    assert (tmp_path / "mcp.json.layer-mcp-backup").read_text() == "{}"


@pytest.mark.parametrize("client", CLIENT_IDS)
def test_updating_keeps_the_limits_in_the_entry_but_not_its_token(
    client: str, tmp_path: Path
) -> None:
    path = tmp_path / "config"
    row = find_client(client)
    install(
        client,
        path,
        ServerCommand("/old/layer-mcp", (), {"LAYER_MAX_PRICE": "5", "LAYER_API_KEY": "pat_old"}),
    )
    change = plan_install(row, path, "layer", COMMAND)
    assert change.new is not None
    assert change.new[row.env_key] == {"LAYER_MAX_PRICE": "5", "LAYER_SANDBOX": "1"}
    path.write_text(path.read_text().replace("/old/", "/older/"))
    install(client, path)
    assert servers(client, path)["layer"][row.env_key] == change.new[row.env_key]


def test_updating_keeps_a_key_that_the_client_added_to_the_entry(tmp_path: Path) -> None:
    path = tmp_path / "config"
    install("cursor", path)
    path.write_text(path.read_text().replace('"type"', '"disabled": true, "type"'))
    install("cursor", path, ServerCommand("/new/layer-mcp"))
    assert servers("cursor", path)["layer"]["disabled"] is True


@pytest.mark.parametrize("client", CLIENT_IDS)
def test_a_byte_order_mark_is_kept(client: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    raw = b"\xef\xbb\xbf" + with_other_server(client).encode()
    path.write_bytes(raw)
    install(client, path)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf" + with_other_server(client)[:6].encode())
    uninstall(client, path)
    assert path.read_bytes() == raw


def test_windows_line_endings_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(with_other_server("cursor").replace("\n", "\r\n").encode())
    install("cursor", path)
    raw = path.read_bytes()
    assert raw.count(b"\n") == raw.count(b"\r\n")


def test_installing_through_a_link_changes_its_target(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    real, link = tmp_path / "dotfiles" / "mcp.json", tmp_path / "mcp.json"
    real.write_text(with_other_server("cursor"))
    link.symlink_to(real)
    install("cursor", link)
    assert link.is_symlink()
    assert "layer" in servers("cursor", real)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_the_file_and_its_backup_have_the_permissions_of_the_file(
    mode: int, tmp_path: Path
) -> None:
    path = tmp_path / "config"
    path.write_text("{}")
    path.chmod(mode)
    install("cursor", path)
    modes = {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()}
    assert modes == {mode}


def test_only_its_owner_can_read_a_new_file(tmp_path: Path) -> None:
    install("cursor", tmp_path / "config")
    assert stat.S_IMODE((tmp_path / "config").stat().st_mode) == 0o600


BROKEN = {
    "json": ('{\n  "a": ,\n}', "line 2, column 8"),
    "toml": ("a = 1\nb = = 2\n", "line 2, column 5"),
    "yaml": ("a: [1\nb: 2\n", "line 2, column 2"),
}


@pytest.mark.parametrize("client", CLIENT_IDS)
def test_a_syntax_error_is_reported_with_file_line_and_column_and_nothing_is_written(
    client: str, tmp_path: Path
) -> None:
    text, place = BROKEN[find_client(client).format]
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ClientConfigError, match=place) as caught:
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
def test_a_file_whose_servers_cannot_be_edited_is_unchanged(
    client: str, text: str, tmp_path: Path
) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ClientConfigError, match="Nothing was changed"):
        install(client, path)
    assert [file.read_text() for file in tmp_path.iterdir()] == [text]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_a_file_that_is_not_utf_8_is_unchanged(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    raw = '{"a": "grün"}'.encode(encoding)
    path.write_bytes(raw)
    with pytest.raises(ClientConfigError, match="isn't UTF-8"):
        install("cursor", path)
    assert path.read_bytes() == raw


@pytest.mark.parametrize("mode", [0o444, 0o400])
def test_a_read_only_file_is_unchanged(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("{}")
    path.chmod(mode)
    with pytest.raises(ClientConfigError, match="is read-only"):
        install("cursor", path)
    assert path.read_text() == "{}"


def test_a_read_only_folder_is_unchanged(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o555)
    try:
        with pytest.raises(ClientConfigError, match="is read-only"):
            install("cursor", folder / "config")
        assert list(folder.iterdir()) == []
    finally:
        folder.chmod(0o755)


def test_rejects_a_folder_at_the_path_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ClientConfigError, match="isn't a file"):
        install("cursor", tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes")
def test_rejects_a_pipe_at_the_path_of_the_file_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config")
    with pytest.raises(ClientConfigError, match="isn't a file"):
        install("cursor", tmp_path / "config")


def test_rejects_links_that_form_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(ClientConfigError, match=r"can't be read|isn't a file"):
        install("cursor", tmp_path / "a")


def test_installing_through_a_link_creates_its_target(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    install("cursor", tmp_path / "link")
    assert "layer" in servers("cursor", tmp_path / "real")


@pytest.mark.slow
def test_a_file_of_several_megabytes_is_edited(tmp_path: Path) -> None:
    path = tmp_path / "config"
    history = {f"project {number}": ["x" * 100] * 50 for number in range(1000)}
    text = json.dumps({"projects": history, "mcpServers": {"other": {}}}, indent=2)
    path.write_text(text)
    install("claude-code", path)
    assert set(servers("claude-code", path)) == {"other", "layer"}
    uninstall("claude-code", path)
    assert path.read_text() == text


def test_a_file_above_the_size_limit_is_rejected_unread(tmp_path: Path) -> None:
    with (tmp_path / "config").open("wb") as file:
        file.truncate(100_000_000)
    with pytest.raises(ClientConfigError, match="100 MB"):
        install("cursor", tmp_path / "config")


def test_a_file_that_changes_between_reading_and_writing_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("{}")
    change = plan_install(find_client("cursor"), path, "layer", COMMAND)
    path.write_text('{"a": 1}')
    with pytest.raises(ClientConfigError, match="changed in the meantime"):
        change.apply()
    assert path.read_text() == '{"a": 1}'


def test_keeps_a_file_that_gains_another_server_before_it_is_deleted(tmp_path: Path) -> None:
    path = tmp_path / "config"
    install("cursor", path)
    change = plan_uninstall(find_client("cursor"), path, "layer")
    path.write_text(with_other_server("cursor"))
    with pytest.raises(ClientConfigError, match="changed in the meantime"):
        change.apply()
    assert path.read_text() == with_other_server("cursor")


FOREIGN: list[dict[str, Any]] = [
    {"url": "https://hosted.test/mcp?key=hush", "headers": {"Authorization": "Bearer hush"}},
    {"serverUrl": "https://hosted.test/layer-mcp"},
    {"command": "npx", "args": ["mcp-remote", "https://hosted.test/layer-mcp", "--h", "hush"]},
    {"command": "/opt/other/server", "env": {"LAYER_API_KEY": "pat_hush"}},
    {},
]


def write_foreign(path: Path, entry: dict[str, Any]) -> str:
    text = json.dumps({"mcpServers": {"layer": entry}}, indent=4)
    path.write_text(text)
    return text


@pytest.mark.parametrize("entry", FOREIGN)
def test_an_entry_that_does_not_start_layer_mcp_is_not_ours(
    entry: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "config"
    text = write_foreign(path, entry)
    for plan in (install, uninstall):
        with pytest.raises(ForeignEntryError) as caught:
            plan("cursor", path)
        assert "hush" not in f"{caught.value}"
    assert [file.read_text() for file in tmp_path.iterdir()] == [text]


OURS: list[dict[str, Any]] = [
    {"command": "layer-mcp"},
    {"command": "/opt/venv/bin/python", "args": ["-m", "layer_mcp"]},
    {"command": "uvx", "args": ["--from", "git+https://git.test/layer-mcp", "layer-mcp"]},
    {"command": "wsl", "args": ["/home/you/bin/layer-mcp"]},
]


@pytest.mark.parametrize("entry", OURS)
def test_an_entry_that_starts_layer_mcp_is_ours(entry: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "config"
    write_foreign(path, entry)
    uninstall("cursor", path)
    assert servers("cursor", path) == {}


@pytest.mark.parametrize("entry", FOREIGN)
def test_replacing_another_programs_entry_keeps_nothing_of_it_but_a_backup(
    entry: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "config"
    text = write_foreign(path, entry)
    change = plan_install(find_client("cursor"), path, "layer", COMMAND, replace_foreign=True)
    assert "hush" not in change.diff()
    change.apply()
    assert servers("cursor", path)["layer"] == find_client("cursor").entry(COMMAND)
    assert (tmp_path / "config.layer-mcp-backup").read_text() == text
    uninstall("cursor", path)
    assert [file.read_text() for file in tmp_path.iterdir()] == [text]


def test_updating_an_entry_that_was_pasted_saves_a_backup(tmp_path: Path) -> None:
    path = tmp_path / "config"
    text = write_foreign(path, {"command": "/old/layer-mcp"})
    install("cursor", path)
    assert (tmp_path / "config.layer-mcp-backup").read_text() == text
    uninstall("cursor", path)
    assert servers("cursor", path) == {}


SECRETS = {
    "cursor": '{"mcpServers": {"x": {"env": {"K": "hush \\" hush", "N": 4711}, "args": ["hush"]}}}',
    "vscode": '{\n  "servers": {\n    "x": {"env": {"K": "hush"}}\n  }\n}',
    "codex": "[mcp_servers.x.env]\nK = 'hush'\nL = '''\nhush'''",
    "goose": "extensions: {x: {envs: {K: hush hush, L: 'hush', N: 4711}}}\n",
}
# Changed lines of every form, each with secrets and with keys that are shown.
LINES = [
    ("K: a,hush", "K: ...,..."),
    ("K: it's hush", "K: ..."),
    ("  - name: hush", "  - name: ..."),
    ("    aHVzaA==", "    ..."),
    ("url: https://u:hush@h/?hush=b", "url: ..."),
    ('  "args": ["hush", 4711],', '  "args": [..., ...],'),
    ('"K": "hush \\" hush", "N": {"M": null}', '"K": ..., "N": {"M": ...}'),
    ("K = 'hush' # hush", "K = ... ..."),
    ('"hush', "..."),
]


@pytest.mark.parametrize(("line", "shown"), LINES)
def test_a_changed_line_shows_its_keys_and_no_values(line: str, shown: str) -> None:
    diff = redacted_diff("config", line, "", "")
    assert diff.splitlines()[-1].removeprefix("-") == shown


@pytest.mark.parametrize(
    "entry",
    [
        {"env": {"LAYER_API_KEY_OLD": "hush", "LAYER_PAT": "hush", "OTHER": "hush"}},
        {"env": {"LAYER_WORKSPACE_ID": "pat_hush"}},
        {"args": ["--header", "pat_hush"]},
        {"headers": {"Authorization": "hush"}, "envFile": "hush"},
    ],
)
def test_a_diff_hides_secrets_that_were_added_to_our_entry(
    entry: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "config"
    write_foreign(path, {"command": "/old/layer-mcp", **entry})
    change = plan_install(find_client("cursor"), path, "layer", COMMAND)
    assert "hush" not in change.diff()
    assert "/old/layer-mcp" in change.diff()
    assert "hush" not in plan_uninstall(find_client("cursor"), path, "layer").diff()


@pytest.mark.parametrize("client", SECRETS)
def test_a_diff_hides_the_token_and_the_values_of_other_servers(
    client: str, tmp_path: Path
) -> None:
    path = tmp_path / "config"
    path.write_text(SECRETS[client])
    command = ServerCommand("/layer-mcp", (), {"LAYER_API_KEY": "pat_hush"})
    first = plan_install(find_client(client), path, "layer", command)
    first.apply()
    second = plan_install(find_client(client), path, "layer", COMMAND)
    shown = first.diff() + second.diff() + plan_uninstall(find_client(client), path, "layer").diff()
    assert "hush" not in shown
    assert "4711" not in shown


@pytest.mark.parametrize("client", CLIENT_IDS)
def test_a_diff_shows_the_lines_of_the_entry(client: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(with_other_server(client))
    shown = plan_install(find_client(client), path, "layer", COMMAND).diff()
    added = [line[1:].strip() for line in shown.splitlines() if line.startswith("+")]
    assert any("/opt/läyer mcp/layer-mcp" in line for line in added)
    assert any("LAYER_SANDBOX" in line and "1" in line for line in added)
