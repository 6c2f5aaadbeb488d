"""layer-mcp price: what a generation would cost."""

import argparse
from collections.abc import Iterator

from rich.console import RenderableType

from ..server.prices import PriceAnswer
from ..server.results import SIMULATED_LINE
from ..settings import Settings
from .connection import Server, ToolAnswer, with_server
from .models import find_model_id
from .options import allow_named_files, read_request
from .output import Screen, line, plain
from .parser import EXIT_OK
from .progress import progress_bar


def run(options: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Ask for the price; references are uploaded, so that they count.

    Raises:
        UsageError: what is asked for cannot be asked for.
        RefusedError: there is no price.
    """
    request = read_request(options)
    with progress_bar(screen.stderr) as bar:

        async def work(server: Server) -> ToolAnswer:
            request["model_id"] = await find_model_id(server, options.model)
            bar.start_phase("asking for the price")
            return await server.call("estimate_price", request, bar.update_upload)

        answer = with_server(allow_named_files(settings, options), work)
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
