"""What a resource is: where it stands in the lists, and how it is read."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mcp.types import Resource, ResourceTemplate

from ..results import Answer
from ..state import ToolContext, app_of

JSON_TYPE = "application/json"


@dataclass(frozen=True)
class Reading:
    """What reading comes to: text, or the bytes of a file.

    It stays true for `ttl_ms`, for this caller.
    """

    content: str | bytes
    mime_type: str = JSON_TYPE
    ttl_ms: int = 0


Read = Callable[[ToolContext, Mapping[str, str]], Awaitable[Reading]]
"""Reads with the values of the address's variables; raises `LayerError`."""


@dataclass(frozen=True)
class LayerResource:
    """A resource: one at a fixed `address`, any number by a `template`, or both.

    Without a `mime_type` it depends on what is read.
    """

    name: str
    title: str
    description: str
    read: Read
    address: str | None = None
    template: str | None = None
    mime_type: str | None = JSON_TYPE

    @property
    def pattern(self) -> str:
        """What its addresses look like."""
        return self.template or self.address or ""

    def listed(self) -> list[Resource]:
        """Its row in the list of resources, if its address is fixed."""
        if self.address is None:
            return []
        return [
            Resource(
                uri=self.address,
                name=self.name,
                title=self.title,
                description=self.description,
                mime_type=self.mime_type,
            )
        ]

    def listed_template(self) -> list[ResourceTemplate]:
        """Its row in the list of templates, if it has one."""
        if self.template is None:
            return []
        return [
            ResourceTemplate(
                uri_template=self.template,
                name=self.name,
                title=self.title,
                description=self.description,
                mime_type=self.mime_type,
            )
        ]


def reading_of(answer: Answer, context: ToolContext, *, ttl_ms: int = 0) -> Reading:
    """What a tool answers, as a reading: a reader takes no next step."""
    facts = answer.model_dump(mode="json", exclude={"next_step"}, exclude_none=True)
    mark = {"simulated": True} if app_of(context).settings.sandbox else {}
    return Reading(as_json(facts | mark), ttl_ms=ttl_ms)


def as_json(value: Any) -> str:
    """Facts as text."""
    return json.dumps(value, indent=1, ensure_ascii=False)
