"""The inputs of a workflow run, checked against what the workflow says of them."""

from collections.abc import Mapping
from typing import Any

from .lookups import files_with
from .problems import RefusalError
from .records import SandboxWorkspace, StoredFile
from .state import SandboxState
from .workflows import SandboxWorkflow, SandboxWorkflowInput

MAX_DETAIL_LENGTH = 200


def complete_inputs(workflow: SandboxWorkflow, given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given plus the defaults.

    Raises:
        RefusalError: an input is unknown, missing, or not what its schema says.
    """
    known = [item.name for item in workflow.inputs]
    for name in given:
        if name not in known:
            raise _refused(name, f"is not an input; there are {', '.join(known)}.")
    for item in workflow.inputs:
        if item.name in given:
            _check_value(item, given[item.name])
        elif item.required:
            raise _refused(item.name, "is required.")
    defaults = {item.name: item.default for item in workflow.inputs if item.default is not None}
    return {**defaults, **given}


def input_files(
    state: SandboxState,
    workspace: SandboxWorkspace,
    workflow: SandboxWorkflow,
    inputs: Mapping[str, Any],
) -> list[StoredFile]:
    """The files that the inputs name.

    Raises:
        RefusalError: one is not there, or its upload is not complete.
    """
    names = [item.name for item in workflow.inputs if item.type == "file"]
    return files_with(state, workspace, (inputs[name] for name in names if name in inputs))


def _check_value(item: SandboxWorkflowInput, value: object) -> None:
    # Imported here, because it takes a tenth of a second that only workflows need.
    from jsonschema import Draft202012Validator  # noqa: PLC0415
    from referencing import Registry  # noqa: PLC0415

    # The empty registry has nothing to fetch a schema with.
    validator = Draft202012Validator(
        item.value_schema,
        registry=Registry[Any](),
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )
    error = next(validator.iter_errors(value), None)  # pyright: ignore[reportUnknownMemberType, reportArgumentType]
    if error is not None:
        raise _refused(item.name, f"{error.message[:MAX_DETAIL_LENGTH]}.")


def _refused(name: str, why: str) -> RefusalError:
    return RefusalError(422, "INVALID_INPUTS", f"inputs.{name[:MAX_DETAIL_LENGTH]}: {why}")
