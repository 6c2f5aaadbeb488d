"""layer-mcp model: what one model can do."""

import argparse
from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from ..server.tools.get_model import ModelUseAnswer
from ..settings import Settings
from .connection import Server, ToolAnswer, with_server
from .exit_codes import EXIT_OK
from .generation_options import in_options, option_of
from .model_choice import model_id_of
from .plain_text import plain
from .progress import progress_bar
from .screen import Screen, line


def run(options: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Show a model: what it is, which options it uses and ignores.

    Raises:
        RefusedError: there is no such model.
    """

    async def work(server: Server) -> ToolAnswer:
        model_id = await model_id_of(server, options.model)
        return await server.call("get_model", {"model_id": model_id})

    with progress_bar(screen.remarks):
        answer = with_server(settings, work)
    if options.json:
        screen.show_json(answer.content)
    else:
        screen.show(*_lines(ModelUseAnswer.model_validate(answer.content)))
    return EXIT_OK


def _lines(model: ModelUseAnswer) -> Iterator[RenderableType]:
    kind = ", ".join(fact for fact in (model.modality, model.inference_timing) if fact)
    yield line(plain(f"{model.name or 'A model without name'} ({kind})"), "bold")
    yield line(model.model_id)
    if model.description:
        yield Text(plain(model.description))
    if model.prompt_format:
        yield Text(plain(f"Prompt format: {model.prompt_format}"))
    for title, names in (
        ("Uses", model.uses),
        ("May use, Layer does not say", model.may_use),
        ("Ignores", model.ignores),
    ):
        if names:
            yield Text(f"{title}:")
            yield Padding(Text(plain(", ".join(option_of(name) for name in names))), (0, 0, 0, 2))
    for note in model.notes:
        yield Text(in_options(plain(note)))
