"""The manifest of the Claude Desktop bundle agrees with the server and with what hosts do."""

import re
from dataclasses import fields, replace
from typing import Any

import pytest

from bundle.listings import MANIFEST, as_text, manifest, read_json
from bundle.packing import CONTENTS
from layer_mcp import Settings

from ..support.claude_desktop import UserConfig, server_commands

ROOT = MANIFEST.parent
CONTENT: dict[str, Any] = read_json(MANIFEST)
OPTIONS: dict[str, dict[str, Any]] = CONTENT["user_config"]
VARIABLES: dict[str, str] = CONTENT["server"]["mcp_config"]["env"]
NAMED = re.compile(r"\$\{user_config\.(\w+)\}")
OUTPUT_FOLDER = "/home/Ada Löv/Layer; new\\old"
INPUT_FOLDERS = ["/home/ada/my pictures", "/srv/a:b"]
UNTOUCHED: UserConfig = {}
EMPTIED: UserConfig = {
    "api_key": "",
    "workspace": "",
    "output_folder": "",
    "input_folders": [],
    "max_price": "",
}
FILLED: UserConfig = {
    "api_key": "pat_1",
    "workspace": "Potion Quest",
    "output_folder": OUTPUT_FOLDER,
    "input_folders": INPUT_FOLDERS,
    "confirm_above": 0.5,
    "max_price": 30,
    "max_spend_per_day": 0,
    "sandbox": True,
}


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Settings, list[str]]]:
    """Settings and arguments of a server that is untouched, emptied and filled in."""
    home = tmp_path_factory.mktemp("home")
    cases = server_commands(ROOT, home, [UNTOUCHED, EMPTIED, FILLED])
    return [(Settings.from_env(launch.env), launch.args) for launch in cases]


def test_the_generated_manifest_matches_the_server() -> None:
    assert MANIFEST.read_text(encoding="utf-8") == as_text(manifest()), "run python -m bundle write"


def test_every_setting_of_the_user_reaches_the_server() -> None:
    arguments = CONTENT["server"]["mcp_config"]["args"]
    named = set(NAMED.findall(" ".join([*arguments, *VARIABLES.values()])))
    assert named == set(OPTIONS)


def test_every_variable_is_a_setting_but_the_one_by_which_uv_trusts_the_machine() -> None:
    """Old versions of uv know that name, too, and hosts bring their own uv."""
    names = {setting.metadata["names"][0] for setting in fields(Settings)}
    assert set(VARIABLES) - names == {"UV_NATIVE_TLS"}


def test_the_default_approval_threshold_is_the_servers() -> None:
    assert OPTIONS["confirm_above"]["default"] == Settings().confirm_above


def test_a_message_that_names_a_setting_leads_to_its_field() -> None:
    pairs = [
        (variable, name) for variable, text in VARIABLES.items() for name in NAMED.findall(text)
    ]
    for variable, name in [*pairs, ("LAYER_INPUT_DIRS", "input_folders")]:
        assert OPTIONS[name]["description"].endswith(f" ({variable})")


def test_a_list_is_passed_in_the_arguments_instead_of_a_variable() -> None:
    lists = {name for name, option in OPTIONS.items() if option.get("multiple")}
    in_variables = NAMED.findall(" ".join(VARIABLES.values()))
    assert lists == {"input_folders"}
    assert lists.isdisjoint(in_variables)


def test_only_the_token_is_secret_and_nothing_is_required() -> None:
    assert [name for name, option in OPTIONS.items() if option.get("sensitive")] == ["api_key"]
    assert not any(option["required"] for option in OPTIONS.values())


@pytest.mark.build
def test_untouched_settings_are_unset_except_the_output_folder(
    launched: list[tuple[Settings, list[str]]],
) -> None:
    settings, _ = launched[0]
    assert settings == replace(Settings(), output_dir="~/Layer")


@pytest.mark.build
def test_emptied_settings_are_unset(launched: list[tuple[Settings, list[str]]]) -> None:
    settings, _ = launched[1]
    assert settings == Settings()


@pytest.mark.build
def test_settings_arrive_exactly_as_entered(launched: list[tuple[Settings, list[str]]]) -> None:
    settings, arguments = launched[2]
    assert settings == Settings(
        api_token="pat_1",
        workspace="Potion Quest",
        output_dir=OUTPUT_FOLDER,
        confirm_above=0.5,
        max_price=30,
        max_spend_per_day=0,
        sandbox=True,
    )
    named = arguments[arguments.index("--input-dir") + 1 :]
    assert named == [*INPUT_FOLDERS, OUTPUT_FOLDER]


def test_the_icon_is_a_512_pixel_square_in_the_servers_color() -> None:
    from PIL import Image

    from layer_mcp.server.app import ICON_SVG

    with Image.open(CONTENTS / CONTENT["icon"]) as icon:
        assert (icon.format, icon.size) == ("PNG", (512, 512))
        middle = icon.convert("RGBA").getpixel((256, 128))
    (colour,) = re.findall("#([0-9a-f]{6})", ICON_SVG)
    assert middle == (*bytes.fromhex(colour), 255)
