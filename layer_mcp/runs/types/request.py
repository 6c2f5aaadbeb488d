"""The request for a run, as data that any process can send."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ...api.models import InferenceRequest, WorkflowRunRequest
from .fingerprint import fingerprint
from .plain import without_nulls

RunKind = Literal["inference", "workflow"]
RANDOM_SEED = -1


@dataclass(frozen=True)
class RunRequest:
    """A run to pay for, as plain data: any process can send it from its journal row.

    `body` is the JSON for Layer with its defaults, and `given` holds the names of the fields that
    the caller set. `files` maps the IDs of uploaded local files to their SHA-256. `subject_id` is
    the model or the workflow, and `subject_name` is a workflow's name. `label` identifies one of
    several requests. `copy_number` distinguishes equal requests in a batch. `name` is used for the
    saved files. `ignored` are the given arguments that the model ignores; a journal row doesn't
    have them.
    """

    kind: RunKind
    subject_id: str
    workspace_id: str
    body: dict[str, Any] = field(default_factory=dict[str, Any])
    given: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    output_count: int | None = None
    subject_name: str | None = None
    label: str = ""
    copy_number: int = 0
    name: str | None = None
    ignored: tuple[str, ...] = ()

    @classmethod
    def inference(
        cls, request: InferenceRequest, workspace_id: str, files: Mapping[str, str]
    ) -> "RunRequest":
        """Return the request for a run of a model."""
        return cls(
            "inference",
            request.model_id,
            workspace_id,
            request.body(),
            tuple(sorted(request.model_fields_set)),
            files,
            output_count=request.batch_size,
        )

    @classmethod
    def workflow(
        cls,
        workflow_id: str,
        request: WorkflowRunRequest,
        workspace_id: str,
        files: Mapping[str, str],
        name: str | None = None,
    ) -> "RunRequest":
        """Return the request for a run of a workflow."""
        body = request.model_dump(mode="json", exclude_none=True)
        return cls(
            "workflow", workflow_id.lower(), workspace_id, body, files=files, subject_name=name
        )

    @property
    def fingerprint(self) -> str:
        """A digest that's the same for equal requests, in any order and spelling."""
        return fingerprint(self.kind, self.workspace_id, self.subject_id, self.body, self.files)

    @property
    def model_id(self) -> str | None:
        """The model; None for a workflow."""
        return self.subject_id if self.kind == "inference" else None

    @property
    def inputs(self) -> dict[str, Any]:
        """What was requested: the whole body of an inference, or the inputs of a workflow."""
        return self.body if self.kind == "inference" else self.body.get("inputs", {})

    @property
    def prompt(self) -> str | None:
        """The prompt of an inference, if it has one."""
        prompt = self.body.get("prompt") if self.kind == "inference" else None
        return prompt if isinstance(prompt, str) else None

    def facts(self) -> dict[str, Any]:
        """Return a run's record of its request, without nulls."""
        if self.kind == "workflow":
            given = {"workflow_id": self.subject_id or None, "asked": self.inputs or None}
            return {"workspace_id": self.workspace_id} | without_nulls(given)
        seed = self.body.get("seed")
        given = {
            "workspace_id": self.workspace_id,
            "model_id": self.subject_id or None,
            "prompt": self.body.get("prompt"),
            "seed": None if seed == RANDOM_SEED else seed,
            "asked": self.body or None,
        }
        return without_nulls(given)
