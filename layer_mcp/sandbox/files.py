"""The files of a finished run: real ones that open, made from the request."""

from dataclasses import replace
from importlib.resources import files
from uuid import uuid4

from .catalog import CONTENT_TYPES, Kind
from .mesh import turned_mesh
from .palette import reference_hue
from .picture import Item, draw_picture, encoded, item_for
from .records import Run, StoredFile
from .sound import chime

MAX_SLUG_LENGTH = 40


def make_outputs(run: Run) -> list[StoredFile]:
    """One file for each output of the batch."""
    hue = reference_hue(run.references)
    return [_make_output(run, index, hue) for index in range(run.request.batch_size)]


def slug_of(text: str) -> str:
    """A file name's readable part: lower-case letters and digits joined by dashes."""
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in text.lower()).split()
    return "-".join(words)[:MAX_SLUG_LENGTH].strip("-") or "output"


def clip() -> bytes:
    """The one video of the sandbox."""
    return (files("layer_mcp.sandbox") / "clip.mp4").read_bytes()


def _make_output(run: Run, index: int, hue: float | None) -> StoredFile:
    request, size = run.request, run.normalized
    item = item_for(request.prompt or "", _seed(run), index)
    if hue is not None:
        item = replace(item, hue=hue)
    kind = run.model.kind
    return StoredFile(
        file_id=str(uuid4()),
        workspace_id=run.workspace_id,
        name=f"{slug_of(request.prompt or '')}-{index + 1}.{kind}",
        content_type=CONTENT_TYPES[kind],
        data=_content(kind, run, item),
        width=size["width"],
        height=size["height"],
        duration_seconds=size["duration_seconds"],
        item=item if kind in ("mp4", "glb") else None,
    )


def _content(kind: Kind, run: Run, item: Item) -> bytes:
    size = run.normalized
    if kind == "glb":
        return turned_mesh(item)
    if kind == "wav":
        return chime(item, size["duration_seconds"])
    if kind == "mp4":
        return clip()
    picture = draw_picture(
        item,
        caption=run.request.prompt or "",
        width=size["width"],
        height=size["height"],
        transparent=bool(run.request.remove_background),
    )
    return encoded(picture, kind)


def _seed(run: Run) -> str:
    return run.inference_id if run.request.seed == -1 else str(run.request.seed)
