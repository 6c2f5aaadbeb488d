"""Turn a caller's drafts into checked requests for Layer, with uploaded files."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import anyio

from ..api.client import LayerClient
from ..api.model_arguments import ALWAYS_USED, find_ignored, takes_type
from ..api.models import InferenceRequest, ModelDetail, Workflow, WorkflowRunRequest
from ..api.workflow_inputs import check_inputs, local_paths, with_file_ids, without_local_files
from ..errors import Argument, LayerError
from .activity import for_each_limited
from .drafts import Draft, InferenceDraft, WorkflowDraft, WorkflowRunDraft
from .operations import ModelLookup
from .outputs.names import check_name
from .types.request import RunRequest
from .uploads import OnUpload, UploadedFile, Uploads

ANY_ID = "00000000-0000-4000-8000-000000000000"
LOOKUP_SECONDS = 3.0
# Most models use these, so a call with no other arguments doesn't wait for the model's facts.
COMMON_FIELDS = ALWAYS_USED | {"prompt", "width", "height", "seed"}


async def resolve_drafts(
    drafts: Sequence[Draft],
    workspace_id: str,
    uploads: Uploads,
    client: LayerClient,
    models: ModelLookup,
    *,
    seconds: float,
    on_upload: OnUpload | None = None,
) -> list[RunRequest]:
    """Turn drafts into requests that Layer accepts: checked, with local files uploaded once.

    Raises:
        LayerError: WORKFLOW_NOT_FOUND, INVALID_ARGUMENTS, or a file can't be uploaded.
    """
    # Everything else is checked before anything is uploaded.
    checked = await _check_drafts(drafts, workspace_id, client, models)
    paths = [path for one in checked for path in one.paths()]
    files = await uploads.upload(
        list(dict.fromkeys(paths)), workspace_id, seconds=seconds, on_upload=on_upload
    )
    return [await uploads.name_contents(one.request(workspace_id, files)) for one in checked]


async def resolve_for_price(
    draft: Draft, workspace_id: str, uploads: Uploads, client: LayerClient, models: ModelLookup
) -> tuple[RunRequest, list[str]]:
    """Turn a draft into a request that can be priced, and list the local files it leaves out.

    Uploads nothing. The request includes only files whose contents were uploaded before.

    Raises:
        LayerError: see `resolve_drafts`.
    """
    [checked] = await _check_drafts([draft], workspace_id, client, models)
    files = await uploads.find(checked.paths(), workspace_id)
    known = {file.path for file in files}
    left_out = [path for path in checked.paths() if path not in known]
    return await uploads.name_contents(checked.request(workspace_id, files)), left_out


@dataclass(frozen=True)
class _Checked:
    """A draft that passed all checks, and what the checks found.

    `name` is the checked name of the saved files. `ignored` are the arguments that the model
    ignores.
    """

    draft: Draft
    name: str | None = None
    workflow: Workflow | None = None
    ignored: tuple[str, ...] = ()

    def paths(self) -> list[str]:
        """Return the local files, without duplicates."""
        if isinstance(self.draft, InferenceDraft):
            return self.draft.paths()
        return local_paths(self.workflow, self.draft.inputs) if self.workflow else []

    def request(self, workspace_id: str, files: Sequence[UploadedFile]) -> RunRequest:
        """Return the request with the IDs of these files, without other local files."""
        ids = {file.path: file.file_id for file in files}
        contents = {file.file_id: file.sha256 for file in files}
        if isinstance(self.draft, InferenceDraft):
            request = RunRequest.inference(self.draft.request(ids), workspace_id, contents)
            return replace(request, name=self.name, ignored=self.ignored)
        inputs, name = dict[str, Any](), None
        if self.workflow is not None:
            inputs = with_file_ids(self.workflow, self.draft.inputs, ids)
            inputs, name = without_local_files(self.workflow, inputs), self.workflow.name
        body = WorkflowRunRequest(inputs=inputs, **_session(self.draft))
        return RunRequest.workflow(self.draft.workflow_id, body, workspace_id, contents, name)


async def _check_drafts(
    drafts: Sequence[Draft], workspace_id: str, client: LayerClient, models: ModelLookup
) -> list[_Checked]:
    names = [
        check_name(draft.name) if isinstance(draft, InferenceDraft) and draft.name else None
        for draft in drafts
    ]
    await _look_up_models(drafts, workspace_id, models)
    checked: list[_Checked] = []
    for number, (draft, name) in enumerate(zip(drafts, names, strict=True), 1):
        if isinstance(draft, WorkflowDraft):
            workflow = await _check_workflow(draft, workspace_id, client)
            checked.append(_Checked(draft, workflow=workflow))
            continue
        try:
            ignored = await _check_model(draft, workspace_id, models)
        except LayerError as error:
            label = f"request {number}: " if len(drafts) > 1 else ""
            error.parts = (label, *error.parts)
            raise
        checked.append(_Checked(draft, name, ignored=ignored))
    return checked


async def _look_up_models(drafts: Sequence[Draft], workspace_id: str, models: ModelLookup) -> None:
    """Look up the models of unusual calls, within a time limit; calls work without them."""
    unusual = InferenceRequest.model_fields.keys() - COMMON_FIELDS
    wanted = {
        draft.model_id
        for draft in drafts
        if isinstance(draft, InferenceDraft) and draft.model_fields_set & unusual
    }

    async def look_up(model_id: str) -> None:
        await models.find(model_id, workspace_id)

    with anyio.move_on_after(LOOKUP_SECONDS):
        await for_each_limited(wanted, look_up)


async def _check_model(
    draft: InferenceDraft, workspace_id: str, models: ModelLookup
) -> tuple[str, ...]:
    """Reject calls that would be wasted money; return the arguments that the model ignores."""
    if draft.says_what_to_make():
        model = models.known(draft.model_id)
    else:
        # Agent frameworks drop unknown arguments, such as a misspelled prompt.
        model = await models.get(draft.model_id, workspace_id)
        if model.capabilities is None or model.capabilities.text_prompt is not False:
            sentence = "There is no prompt, reference, or mask, so nothing says what to make."
            raise LayerError("INVALID_ARGUMENTS", sentence)
    if model is None:
        return ()
    _check_types(draft, model)
    default = InferenceDraft.model_construct()
    given = [
        name
        for name in draft.model_fields_set
        # Some clients fill in arguments that aren't wanted.
        if getattr(draft, name) not in (False, getattr(default, name, None))
    ]
    return find_ignored(model, given)


def _check_types(draft: InferenceDraft, model: ModelDetail) -> None:
    """Reject a reference whose type the model doesn't accept: Layer would ignore and charge it."""
    types = (model.capabilities.guidance_file_types if model.capabilities else None) or []
    for file in draft.guidance_files:
        if types and not takes_type(types, file.type):
            taken = ", ".join(types)
            sentence = f": the model doesn't take type {file.type}. It takes: {taken}."
            raise LayerError("INVALID_ARGUMENTS", [Argument("guidance_files"), sentence])


async def _check_workflow(draft: WorkflowDraft, workspace_id: str, client: LayerClient) -> Workflow:
    workflow = await client.find_workflow(draft.workflow_id, workspace=workspace_id)
    # Local files aren't uploaded yet, so a placeholder ID stands in for them.
    ids = dict.fromkeys(local_paths(workflow, draft.inputs), ANY_ID)
    check_inputs(workflow, with_file_ids(workflow, draft.inputs, ids))
    return workflow


def _session(draft: Draft) -> dict[str, Any]:
    if not isinstance(draft, WorkflowRunDraft):
        return {}
    return draft.model_dump(include={"session_id", "session_name"})
