"""What a generation is asked for on the command line, and the files that it may read."""

import argparse
import dataclasses
import sys
from typing import Any

from ..errors import LayerError
from ..paths import input_folders
from ..settings import Settings
from .argument_types import UsageError
from .generation_options import named_files, request_arguments

STDIN = "-"
MAX_PROMPT_BYTES = 1_000_000


def wanted_request(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of the generation, but for its model.

    Raises:
        UsageError: the prompt or the model is missing.
    """
    prompt = _piped_prompt() if options.prompt == STDIN else options.prompt
    if prompt is not None and not prompt.strip():
        raise UsageError("The prompt is empty. Say what to make.")
    if not options.model:
        raise UsageError("The model is missing. Add --model NAME; layer-mcp models lists them.")
    return request_arguments(options, prompt)


def with_named_files(settings: Settings, options: argparse.Namespace) -> Settings:
    """The settings, with which just the files may be read that the command line names, too."""
    try:
        usual = tuple(str(folder) for folder in input_folders(settings))
    except LayerError:
        usual = ()
    return dataclasses.replace(settings, input_dirs=(*usual, *named_files(options)))


def _piped_prompt() -> str:
    if sys.stdin is None:
        return ""
    if sys.stdin.isatty():
        print("Type the prompt, then Ctrl+D.", file=sys.stderr)
    return sys.stdin.buffer.read(MAX_PROMPT_BYTES).decode("utf-8", "replace").strip()
