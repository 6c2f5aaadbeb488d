"""The files of a finished workflow run."""

from dataclasses import replace
from uuid import uuid4

from .catalog import CLIP_SECONDS, CONTENT_TYPES
from .files import clip, slug_of
from .picture import Item, draw_picture, encoded, item_for
from .records import StoredFile, WorkflowRun
from .references import reference_hue
from .workflows import count_of_outputs

ICON_SIDE_PIXELS = 256


def make_workflow_outputs(run: WorkflowRun) -> list[StoredFile]:
    """The icons or the video of a run."""
    hue = reference_hue(run.references)
    return [_make_output(run, index, hue) for index in range(count_of_outputs(run.inputs))]


def _make_output(run: WorkflowRun, index: int, hue: float | None) -> StoredFile:
    item = item_for(run.inputs["prompt"], run.run_id, index)
    if hue is not None:
        item = replace(item, hue=hue)
    file = _video(run, item) if run.workflow.modality == "video" else _icon(run, item)
    return replace(file, name=f"{slug_of(run.inputs['prompt'])}-{index + 1}.{file.name}")


def _icon(run: WorkflowRun, item: Item) -> StoredFile:
    side = ICON_SIDE_PIXELS
    picture = draw_picture(item, caption="", width=side, height=side, transparent=True)
    return StoredFile(
        file_id=str(uuid4()),
        workspace_id=run.workspace_id,
        name="png",
        content_type=CONTENT_TYPES["png"],
        data=encoded(picture, "png"),
        width=side,
        height=side,
    )


def _video(run: WorkflowRun, item: Item) -> StoredFile:
    return StoredFile(
        file_id=str(uuid4()),
        workspace_id=run.workspace_id,
        name="mp4",
        content_type=CONTENT_TYPES["mp4"],
        data=clip(),
        duration_seconds=CLIP_SECONDS,
        item=item,
    )
