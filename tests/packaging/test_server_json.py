"""The registry entry agrees with the package, and keeps what the registry's schema demands."""

import hashlib
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from jsonschema import Draft7Validator, FormatChecker

from bundle.listings import (
    NAME,
    SERVER_JSON,
    as_text,
    read_json,
    registry_entry,
    with_bundle,
)
from bundle.packing import ROOT
from layer_mcp import Settings, __version__

ENTRY: dict[str, Any] = read_json(SERVER_JSON)
(PACKAGE,) = ENTRY["packages"]
VARIABLES: list[dict[str, Any]] = PACKAGE["environmentVariables"]


def test_it_matches_the_code() -> None:
    assert SERVER_JSON.read_text(encoding="utf-8") == as_text(registry_entry()), (
        "run python -m bundle write"
    )


def test_both_versions_are_the_packages() -> None:
    assert (ENTRY["version"], PACKAGE["version"]) == (__version__, __version__)


def test_every_setting_is_a_variable_and_only_secrets_are_secret() -> None:
    names = [setting.metadata["names"][0] for setting in fields(Settings)]
    assert [variable["name"] for variable in VARIABLES] == names
    secret = [variable["name"] for variable in VARIABLES if variable.get("isSecret")]
    assert secret == ["LAYER_API_KEY", "LAYER_DATABASE_URL"]


def test_every_default_is_read_as_the_default() -> None:
    defaults = {v["name"]: v["default"] for v in VARIABLES if "default" in v}
    assert Settings.from_env(defaults) == Settings()


@pytest.mark.parametrize("variable", [v for v in VARIABLES if "choices" in v], ids=str)
def test_every_choice_is_accepted(variable: dict[str, Any]) -> None:
    for choice in variable["choices"]:
        Settings.from_env({variable["name"]: choice})


@pytest.mark.parametrize(
    ("form", "text"), [("boolean", "true"), ("number", "12"), ("filepath", "/tmp")]
)
def test_a_value_of_the_declared_format_is_accepted(form: str, text: str) -> None:
    named = [variable["name"] for variable in VARIABLES if variable["format"] == form]
    assert named
    Settings.from_env(dict.fromkeys(named, text))


def published_schema() -> dict[str, Any]:
    """The schema that the entry names, from a package that carries all of them."""
    folders = ROOT / ".venv" / "schemas" / "skillsaw" / "schemas" / "mcp_registry"
    schemas = [read_json(path) for path in folders.glob("*/server.schema.json")]
    return {schema["$id"]: schema for schema in schemas}[ENTRY["$schema"]]


@pytest.mark.build
def test_it_is_valid_by_the_published_schema() -> None:
    jsonschema.validate(ENTRY, published_schema(), Draft7Validator, format_checker=FormatChecker())


@pytest.mark.build
@pytest.mark.parametrize("wrong", [{"name": "layer-mcp"}, {"description": "x" * 101}], ids=str)
def test_the_schema_refuses_what_the_registry_would(wrong: dict[str, str]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(ENTRY | wrong, published_schema(), Draft7Validator)


def test_it_contains_no_registry_url() -> None:
    assert "registryBaseUrl" not in PACKAGE
    assert re.findall(r"https?://[^\"\s]+", SERVER_JSON.read_text(encoding="utf-8")) == [
        ENTRY["$schema"],
        Settings().api_url,
    ]


def test_the_readme_names_it_as_the_package_index_wants() -> None:
    assert f"mcp-name: {NAME}" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.build
def test_a_release_adds_its_bundle_with_address_and_hash(tmp_path: Path) -> None:
    packed = tmp_path / "layer.mcpb"
    packed.write_bytes(b"bundle")
    entry = with_bundle(ENTRY, packed, "https://host.test/layer.mcpb")
    jsonschema.validate(entry, published_schema(), Draft7Validator)
    package = entry["packages"][1]
    assert (package["registryType"], package["identifier"]) == (
        "mcpb",
        "https://host.test/layer.mcpb",
    )
    assert package["fileSha256"] == hashlib.sha256(b"bundle").hexdigest()
