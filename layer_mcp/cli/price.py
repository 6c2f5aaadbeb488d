"""layer-mcp price: what a generation would cost."""

import argparse
from collections.abc import Iterator

from rich.console import RenderableType

from ..server.prices import PriceAnswer
from ..server.results import SIMULATED_LINE
from ..settings import Settings
from .connection import Server, ToolAnswer, with_server
from .exit_codes import EXIT_OK
from .model_choice import model_id_of
from .plain_text import plain
from .progress import progress_bar
from .request_input import wanted_request, with_named_files
from .screen import Screen, line


def run(options: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Ask for the price; references are uploaded, so that they count.

    Raises:
        UsageError: what is asked for cannot be asked for.
        RefusedError: there is no price.
    """
    request = wanted_request(options)
    with progress_bar(screen.remarks) as bar:

        async def work(server: Server) -> ToolAnswer:
            request["model_id"] = await model_id_of(server, options.model)
            bar.phase("asking for the price")
            return await server.call("estimate_price", request, bar.uploaded)

        answer = with_server(with_named_files(settings, options), work)
    if options.json:
        screen.show_json(answer.content)
    else:
        screen.show(*_lines(PriceAnswer.model_validate(answer.content), settings.confirm_above))
    return EXIT_OK


def _lines(price: PriceAnswer, confirm_above: float) -> Iterator[RenderableType]:
    for fact in price.facts():
        yield line(plain(fact))
    if price.has_sufficient_creative_units is False:
        yield line(plain(price.next_step), "yellow")
    elif price.estimated_price_creative_units > confirm_above:
        yield line(f"Above {confirm_above:g} CU generate asks first.")
    if price.simulated:
        yield line(SIMULATED_LINE)
