"""All resources, in the order of the lists, and which one an address means."""

from typing import cast

from mcp.shared.uri_template import UriTemplate

from .models import MODEL_RESOURCE
from .outputs import OUTPUT_RESOURCE
from .resource import LayerResource
from .runs import RUN_RESOURCE, RUNS_RESOURCE
from .workspaces import WORKSPACES_RESOURCE

RESOURCES = (
    RUNS_RESOURCE,
    RUN_RESOURCE,
    OUTPUT_RESOURCE,
    MODEL_RESOURCE,
    WORKSPACES_RESOURCE,
)


def resource_at(uri: str) -> tuple[LayerResource, dict[str, str]] | None:
    """The resource that an address means, with the values in it; None for no resource of ours."""
    for resource in RESOURCES:
        values = UriTemplate.parse(resource.pattern).match(uri)
        if values is not None:
            # No template has a variable that holds a list.
            return resource, cast("dict[str, str]", values)
    return None
