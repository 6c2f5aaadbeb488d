"""Combine Layer's estimates into a quote, and say what it leaves out."""

from collections.abc import Sequence
from pathlib import PurePath

from ...api.models import PriceEstimate
from ...errors import LayerError
from ..types.plan import Quote

# These codes don't mean that Layer would reject the run itself.
WITHOUT_PRICE = ("UNEXPECTED_RESPONSE", "UNEXPECTED_REDIRECT", "NOT_FOUND")
MAX_FILES_NAMED = 3
EXCLUDED = "Layer didn't price the references and the mask, so the run may cost more. It said:"


def make_quote(answers: Sequence[PriceEstimate | LayerError], workspace_id: str) -> Quote:
    """Combine Layer's estimates of several runs; a missing one makes the total unknown.

    Raises:
        LayerError: Layer rejects one of the requests.
    """
    errors = [answer for answer in answers if isinstance(answer, LayerError)]
    for error in errors:
        if not (error.transient or error.code in WITHOUT_PRICE):
            raise error
    estimates = [answer for answer in answers if isinstance(answer, PriceEstimate)]
    balances = [estimate.workspace_balance_creative_units for estimate in estimates]
    refused = [estimate.references_refused for estimate in estimates]
    return Quote(
        prices=[
            answer.estimated_price_creative_units if isinstance(answer, PriceEstimate) else None
            for answer in answers
        ],
        workspace_id=workspace_id,
        balance=min((balance for balance in balances if balance is not None), default=None),
        is_covered=all(
            estimate.has_sufficient_creative_units is not False for estimate in estimates
        ),
        reason_unknown=errors[0].message if errors else None,
        references_refused=next((reason for reason in refused if reason), None),
    )


def unpriced_references(refused: str | None) -> str | None:
    """Return a warning that a price excludes references; `refused` is Layer's message."""
    return f"{EXCLUDED} {refused}" if refused else None


def unpriced_files(paths: Sequence[str]) -> str | None:
    """Return a warning that a price excludes local files that weren't uploaded yet."""
    if not paths:
        return None
    isnt = "isn't" if len(paths) == 1 else "aren't"
    return f"The price leaves out {_name_files(paths)}, which {isnt} uploaded yet."


def unpriced_error(error: LayerError, paths: Sequence[str]) -> LayerError:
    """Return the error of a price; `paths` are the local files that the price excludes."""
    left_out = unpriced_files(paths)
    if left_out is None or error.code != "INVALID_INPUTS":
        return error
    step = "If it asks for the file, call upload_file first; else correct the named argument."
    return LayerError(error.code, [*error.parts, f" {left_out}"], next_step=step)


def ignored_arguments(names: Sequence[str]) -> str | None:
    """Return a warning about arguments that a model ignores."""
    return f"Ignored by the model: {', '.join(names)}." if names else None


def _name_files(paths: Sequence[str]) -> str:
    names = ", ".join(PurePath(path).name for path in paths[:MAX_FILES_NAMED])
    more = len(paths) - MAX_FILES_NAMED
    return f"{names} and {more} more" if more > 0 else names
