"""Layer's published OpenAPI document. Tests that need it are skipped if it's missing."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

OPENAPI = Path(__file__).parents[3] / "shared" / "layer" / "openapi.json"


def document() -> dict[str, Any]:
    """Return the whole document."""
    if not OPENAPI.exists():
        pytest.skip("Layer's openapi.json is not here")
    return json.loads(OPENAPI.read_text())


def schemas() -> dict[str, Any]:
    """Return the component schemas."""
    return document()["components"]["schemas"]


def paths() -> dict[str, dict[str, Any]]:
    """Return the operations, by path and method."""
    return document()["paths"]


def conforms(schema: str, value: object) -> bool:
    """Return whether a value is valid for the component schema with this name."""
    root = {"$ref": f"#/components/schemas/{schema}", "components": {"schemas": schemas()}}
    errors = Draft202012Validator(root).iter_errors(value)  # pyright: ignore
    return not list(errors)


def plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a property's schema with its references resolved and without its null branch."""
    if "$ref" in schema:
        return plain(schemas()[schema["$ref"].rpartition("/")[2]])
    branches = [plain(branch) for branch in schema.get("anyOf", []) if branch.get("type") != "null"]
    return {**schema, **branches[0]} if branches else schema
