"""How Claude Desktop starts the server of a bundle, as the public mcpb tool computes it."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bundle.packing import node

PROGRAM = Path(__file__).with_suffix(".mjs")

UserConfig = Mapping[str, str | float | bool | Sequence[str]]


@dataclass(frozen=True)
class ServerCommand:
    """The command, arguments, and environment variables that start the server."""

    command: str
    args: list[str]
    env: dict[str, str]


def server_commands(
    folder: Path, home: Path, user_configs: Sequence[UserConfig]
) -> list[ServerCommand]:
    """Return the command of an unpacked bundle for each user's configuration."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    cases: list[dict[str, Any]] = [
        {
            "manifest": manifest,
            "extensionPath": str(folder),
            "systemDirs": {"HOME": str(home)},
            "userConfig": user_config,
            "pathSeparator": os.sep,
        }
        for user_config in user_configs
    ]
    done = subprocess.run(
        [str(node()), str(PROGRAM)],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return [ServerCommand(**config) for config in json.loads(done.stdout)]
