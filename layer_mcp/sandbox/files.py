"""The files of a finished run: real ones that open, made from the request."""

from dataclasses import replace
from importlib.resources import files
from uuid import uuid4

from PIL import Image

from .catalog import CONTENT_TYPES, MAX_SIZE, MIN_SIZE, upscale_ratio
from .mesh import turned_mesh
from .picture import Item, draw_picture, encoded, item_for
from .records import Run, StoredFile
from .references import opened, reference_hue
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
    prompt, kind = run.request.prompt or "", run.model.kind
    item = item_for(prompt, _seed(run), index)
    if hue is not None:
        item = replace(item, hue=hue)
    file = StoredFile(
        file_id=str(uuid4()),
        workspace_id=run.workspace_id,
        name=f"{slug_of(prompt)}-{index + 1}.{kind}",
        content_type=CONTENT_TYPES[kind],
        data=b"",
        duration_seconds=run.normalized["duration_seconds"],
    )
    return _filled(file, run, item)


def _filled(file: StoredFile, run: Run, item: Item) -> StoredFile:
    size, kind = run.normalized, run.model.kind
    if kind == "glb":
        return replace(file, data=turned_mesh(item), item=item)
    if kind == "wav":
        return replace(file, data=chime(item, size["duration_seconds"]))
    if kind == "mp4":
        return replace(file, data=clip(), width=size["width"], height=size["height"], item=item)
    picture = _enlarged(run) if run.model.upscales else _drawn(run, item)
    return replace(file, data=encoded(picture, kind), width=picture.width, height=picture.height)


def _drawn(run: Run, item: Item) -> Image.Image:
    return draw_picture(
        item,
        caption=run.request.prompt or "",
        width=run.normalized["width"],
        height=run.normalized["height"],
        transparent=bool(run.request.remove_background),
    )


def _enlarged(run: Run) -> Image.Image:
    guides = zip(run.request.guidance_files, run.references, strict=True)
    first = next(file for guide, file in guides if guide.type == "init")
    picture = opened(first) or Image.new("RGBA", (MIN_SIZE, MIN_SIZE))
    ratio = min(upscale_ratio(run.request), MAX_SIZE / max(picture.size))
    width, height = (max(round(side * ratio), 1) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def _seed(run: Run) -> str:
    return run.inference_id if run.request.seed == -1 else str(run.request.seed)
