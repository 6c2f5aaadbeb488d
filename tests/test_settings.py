"""Settings from the environment."""

import os
from dataclasses import fields

import pytest

from layer_mcp import Settings, SettingsError


def test_without_environment_the_public_api_is_used_and_nothing_is_set() -> None:
    settings = Settings.from_env({})
    assert settings.api_url == "https://api.app.layer.ai/api"
    assert (settings.api_token, settings.workspace, settings.sandbox) == (None, None, False)
    assert settings.max_wait_seconds == 45


@pytest.mark.parametrize("name", ["LAYER_API_KEY", "LAYER_API_TOKEN", "LAYER_TOKEN"])
def test_the_token_has_three_names(name: str) -> None:
    assert Settings.from_env({name: "pat_1\n"}).api_token == "pat_1"


@pytest.mark.parametrize("name", ["LAYER_WORKSPACE_ID", "LAYER_WORKSPACE"])
def test_the_workspace_has_two_names(name: str) -> None:
    assert Settings.from_env({name: "my-team"}).workspace == "my-team"


@pytest.mark.parametrize(
    "empty",
    ["", "  ", '""', "null", "undefined", "${user_config.api_key}", "${LAYER_API_KEY}"],
)
def test_an_empty_or_unsubstituted_value_is_unset_and_the_next_name_counts(empty: str) -> None:
    settings = Settings.from_env({"LAYER_API_KEY": empty, "LAYER_TOKEN": "pat_2"})
    assert settings.api_token == "pat_2"


HOMES = ["${HOME}", "$HOME", "${env:HOME}", "${userHome}", "%USERPROFILE%", "%UserProfile%", "~"]


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("separator", ["/", "\\"])
def test_expands_the_users_home_folder(home: str, separator: str) -> None:
    for name in ("LAYER_OUTPUT_DIR", "LAYER_STATE_DIR"):
        settings = Settings.from_env({name: f"{home}{separator}Layer"})
        assert f"~{separator}Layer" in (settings.output_dir, settings.state_dir)


@pytest.mark.skipif(os.name == "nt", reason="POSIX paths")
@pytest.mark.parametrize(
    "folder",
    ['"/my layer"', "'/my layer'", "file:///my%20layer", '"file:///my%20layer"', ' "/my layer" '],
)
def test_quotes_and_a_file_url_are_not_part_of_a_folder(folder: str) -> None:
    environment = {"LAYER_STATE_DIR": folder, "LAYER_INPUT_DIRS": f"/a:{folder}:~/b"}
    settings = Settings.from_env(environment)
    assert settings.state_dir == "/my layer"
    assert settings.input_dirs == ("/a", "/my layer", "~/b")


@pytest.mark.parametrize("folder", ["state", "./state", "../state", ".layer", "file", '"state"'])
def test_a_relative_state_folder_is_rejected(folder: str) -> None:
    with pytest.raises(SettingsError, match="LAYER_STATE_DIR must be a full path"):
        Settings.from_env({"LAYER_STATE_DIR": folder})


@pytest.mark.parametrize(
    "folder", ["/a/$ART", "/a/${ART}/b", "/a/%ART%", "$HOMES/a", "${ART}/Layer", "$env:ART/a"]
)
def test_rejects_an_unexpanded_variable(folder: str) -> None:
    for name in ("LAYER_OUTPUT_DIR", "LAYER_STATE_DIR", "LAYER_INPUT_DIRS"):
        with pytest.raises(SettingsError, match=f"{name} has a variable"):
            Settings.from_env({name: folder})


@pytest.mark.skipif(os.name == "nt", reason="it is a path there")
@pytest.mark.parametrize("folder", ["C:\\Users\\me\\Layer", "d:/Layer"])
def test_rejects_a_windows_path_on_other_systems(folder: str) -> None:
    with pytest.raises(SettingsError, match="Windows path"):
        Settings.from_env({"LAYER_OUTPUT_DIR": folder})


@pytest.mark.parametrize("folder", ["/a/c$/b", "/100% art", "/a/$", "/art $ 5"])
def test_a_folder_may_have_a_dollar_or_percent_sign_in_its_name(folder: str) -> None:
    assert Settings.from_env({"LAYER_STATE_DIR": folder}).state_dir == folder


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("LAYER_API_KEY", "pat_1"),
        ("LAYER_WORKSPACE", "my team"),
        ("LAYER_MAX_PRICE", "5"),
        ("LAYER_API_URL", "https://x.test/api"),
    ],
)
def test_quotes_around_a_value_are_not_part_of_it(name: str, text: str) -> None:
    quoted = Settings.from_env({name: f'"{text}"'})
    assert quoted == Settings.from_env({name: f"'{text}'"}) == Settings.from_env({name: text})


@pytest.mark.parametrize(
    "url",
    [
        "https://app.layer.ai/backend",
        "https://app.layer.ai/backend/",
        "https://app.layer.ai",
        "https://api.app.layer.ai/",
    ],
)
def test_another_address_of_layer_means_the_api(url: str) -> None:
    assert Settings.from_env({"LAYER_API_URL": url}) == Settings()


@pytest.mark.parametrize(
    "url",
    [
        "https://x.test/api",
        "https://x.test/api/",
        "https://x.test/api/v1",
        "https://x.test/api/v1/",
    ],
)
def test_the_address_may_end_in_a_slash_or_v1(url: str) -> None:
    assert Settings.from_env({"LAYER_API_URL": url}).api_url == "https://x.test/api"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/api", "http://localhost/api", "http://[::1]/a"]
)
def test_plain_http_is_for_this_machine(url: str) -> None:
    assert Settings.from_env({"LAYER_API_URL": url}).api_url == url


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LAYER_API_URL", "http://layer.test/api"),
        ("LAYER_API_URL", "http://127.0.0.1.evil.test/api"),
        ("LAYER_API_URL", "ftp://x.test"),
        ("LAYER_API_URL", "layer"),
        ("LAYER_API_URL", "https://exa mple.com"),
        ("LAYER_API_URL", "https://ex☃mple.com/api"),
        ("LAYER_API_URL", "https://x.test/a\x7fpi"),
        ("LAYER_API_URL", "https://user:pw@x.test/api"),
        ("LAYER_API_URL", "https://x.test:99999/api"),
        ("LAYER_API_KEY", "two words"),
        ("LAYER_API_KEY", "pat_1\r\nX-Evil: 1"),
        ("LAYER_API_KEY", "pät"),
        ("LAYER_SANDBOX", "maybe"),
        ("LAYER_MAX_WAIT_SECONDS", "-1"),
        ("LAYER_MAX_WAIT_SECONDS", "1e3"),
        ("LAYER_MAX_WAIT_SECONDS", "99999"),
        ("LAYER_MAX_WAIT_SECONDS", "9" * 5000),
        ("LAYER_LOG_LEVEL", "LOUD"),
        ("LAYER_TOOLSETS", "generate,everything"),
        ("LAYER_TOOLSETS", ","),
        ("LAYER_INPUT_DIRS", os.pathsep),
        ("LAYER_OUTPUT_DIR", "/a\0b"),
        ("LAYER_OUTPUT_DIR", "file://other-machine/a"),
        ("LAYER_OUTPUT_DIR", "file://["),
        ("LAYER_INPUT_DIRS", "/a\0b"),
        ("LAYER_STATE_DIR", "/a\0b"),
        ("LAYER_MAX_UPLOAD_MB", "-64"),
        ("LAYER_MAX_UPLOAD_MB", "1.5"),
        ("LAYER_MAX_UPLOAD_MB", "64 MB"),
        ("LAYER_MAX_UPLOAD_MB", "\u0666\u0664"),
        ("LAYER_MAX_DOWNLOAD_MB", "100001"),
        ("LAYER_MAX_DOWNLOAD_MB", "9" * 5000),
        ("LAYER_MEDIA_HOSTS", "https://cdn.layer.test"),
        ("LAYER_MEDIA_HOSTS", "cdn.layer.test/files"),
        ("LAYER_MEDIA_HOSTS", "cdn.layer.test:8443"),
        ("LAYER_MEDIA_HOSTS", "*.layer.test"),
        ("LAYER_MEDIA_HOSTS", "me@cdn.layer.test"),
        ("LAYER_MEDIA_HOSTS", "bücher.test"),
        ("LAYER_PREVIEW", "small"),
    ],
)
def test_rejects_an_unusable_value_by_name_without_showing_it(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as caught:
        Settings.from_env({name: value})
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("word", "on"), [("1", True), ("TRUE", True), ("false", False), ("0", False)]
)
def test_the_sandbox_switch_takes_words(word: str, on: bool) -> None:
    assert Settings.from_env({"LAYER_SANDBOX": word}).sandbox is on


def test_without_environment_files_have_their_usual_limits_and_places() -> None:
    settings = Settings.from_env({})
    assert (settings.max_upload_mb, settings.max_download_mb) == (64, 1024)
    assert (settings.output_dir, settings.input_dirs, settings.state_dir) == (None, (), None)
    assert (settings.media_hosts, settings.preview) == ((), True)
    assert settings.toolsets == ("generate", "models", "files")


@pytest.mark.parametrize(
    ("text", "toolsets"),
    [
        ("generate", ("generate",)),
        ("Files, generate", ("generate", "files")),
        ("workflows workflows", ("workflows",)),
        ("default,workflows", ("generate", "models", "files", "workflows")),
        ("ALL", ("generate", "models", "files", "workflows")),
    ],
)
def test_toolsets_are_named_in_any_order_and_case(text: str, toolsets: tuple[str, ...]) -> None:
    assert Settings.from_env({"LAYER_TOOLSETS": text}).toolsets == toolsets


@pytest.mark.parametrize("name", ["LAYER_OUTPUT_DIR", "LAYER_STATE_DIR"])
def test_a_folder_is_kept_exactly_as_written(name: str) -> None:
    settings = Settings.from_env({name: " ~/grüne Tränke \n"})
    assert "~/grüne Tränke" in (settings.output_dir, settings.state_dir)


def test_several_input_folders_are_separated_as_in_path() -> None:
    text = os.pathsep.join(["/a b", " ~/c ", "", "d"])
    assert Settings.from_env({"LAYER_INPUT_DIRS": text}).input_dirs == ("/a b", "~/c", "d")


@pytest.mark.parametrize("value", ["1", "65", "100000"])
def test_the_largest_files_are_whole_megabytes(value: str) -> None:
    environment = {"LAYER_MAX_UPLOAD_MB": value, "LAYER_MAX_DOWNLOAD_MB": value}
    settings = Settings.from_env(environment)
    assert (settings.max_upload_mb, settings.max_download_mb) == (int(value), int(value))


@pytest.mark.parametrize("name", ["LAYER_MAX_UPLOAD_MB", "LAYER_MAX_DOWNLOAD_MB"])
def test_a_limit_of_no_megabytes_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({name: "0"})


def test_media_hosts_are_names_in_any_case() -> None:
    text = "CDN.layer.test, files-2.layer.test  10.0.0.1"
    expected = ("cdn.layer.test", "files-2.layer.test", "10.0.0.1")
    assert Settings.from_env({"LAYER_MEDIA_HOSTS": text}).media_hosts == expected


@pytest.mark.parametrize(("word", "on"), [("1", True), ("on", True), ("0", False), ("No", False)])
def test_the_preview_can_be_turned_off(word: str, on: bool) -> None:
    assert Settings.from_env({"LAYER_PREVIEW": word}).preview is on


def test_unsubstituted_bundle_settings_are_unset() -> None:
    names = [name for setting in fields(Settings) for name in setting.metadata["names"]]
    environment = {name: f"${{user_config.{name.lower()}}}" for name in names}
    assert Settings.from_env(environment) == Settings()


def test_the_token_is_not_in_the_repr() -> None:
    assert "pat_1" not in repr(Settings(api_token="pat_1"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://layer:secret@db.internal:5432/layer?sslmode=verify-full",
        "postgres://db.internal/layer",
        "postgresql:///layer?host=/var/run/postgresql",
        "postgresql://one:5432,two:5433/layer",
        "postgresql://layer@[::1]/layer",
    ],
)
def test_accepts_the_url_of_a_database(url: str) -> None:
    assert Settings.from_env({"LAYER_DATABASE_URL": f" {url} "}).database_url == url


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://layer:hunter2@db/layer", "must start with postgresql://"),
        ("layer:hunter2@db/layer", "must start with postgresql://"),
        ("postgresql://layer:hunter2@/layer", "must name a host"),
        ("postgresql:///layer", "must name a host"),
        ("postgresql://layer:hunter2 @db/layer", "must not have spaces"),
    ],
)
def test_rejects_another_url_without_repeating_its_password(url: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as caught:
        Settings.from_env({"LAYER_DATABASE_URL": url})
    assert "hunter2" not in str(caught.value)


def test_the_url_of_a_database_is_not_shown() -> None:
    settings = Settings.from_env({"LAYER_DATABASE_URL": "postgresql://layer:hunter2@db/layer"})
    assert "hunter2" not in repr(settings)
