"""Layer's published contract, where it is at hand; tests that need it skip elsewhere."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

OPENAPI = Path(__file__).parents[3] / "shared" / "layer" / "openapi.json"


def document() -> dict[str, Any]:
    """The whole contract."""
    if not OPENAPI.exists():
        pytest.skip("Layer's openapi.json is not here")
    return json.loads(OPENAPI.read_text())


def schemas() -> dict[str, Any]:
    """The contract's component schemas."""
    return document()["components"]["schemas"]


def paths() -> dict[str, dict[str, Any]]:
    """The contract's operations, by path and method."""
    return document()["paths"]


def conforms(schema: str, value: object) -> bool:
    """Whether an answer is one of the contract's, by the name of its schema."""
    root = {"$ref": f"#/components/schemas/{schema}", "components": {"schemas": schemas()}}
    errors = Draft202012Validator(root).iter_errors(value)  # pyright: ignore
    return not list(errors)


def plain(schema: dict[str, Any]) -> dict[str, Any]:
    """A property's schema with its references resolved and its null branch dropped."""
    if "$ref" in schema:
        return plain(schemas()[schema["$ref"].rpartition("/")[2]])
    branches = [plain(branch) for branch in schema.get("anyOf", []) if branch.get("type") != "null"]
    return {**schema, **branches[0]} if branches else schema
