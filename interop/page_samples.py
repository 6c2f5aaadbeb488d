"""The samples in docs/python-agent.md, each run in its framework's environment.

A comment before a sample names the client's folder: `<!-- not run: make interop does, in NAME -->`.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

from .environments import CACHE, FOLDER, ROOT

PAGE = ROOT / "docs" / "python-agent.md"
SAMPLE = re.compile(
    r"^<!-- not run: make interop does, in (\S+) -->\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE
)
SAMPLE_SECONDS = 120
# Every sample's output ends with the answer of list_models.
READ = "Sandbox Image"


def page_samples() -> dict[str, str]:
    """Return the samples by the folder of their client."""
    return {found[1]: found[2] for found in SAMPLE.finditer(PAGE.read_text(encoding="utf-8"))}


def problems_of_samples(folders: Collection[str]) -> list[str]:
    """Return the problems of the samples for these folders, whose environments exist."""
    wrong = {
        folder: _fault(folder, sample)
        for folder, sample in page_samples().items()
        if folder in folders
    }
    return [f"{PAGE.name}, {folder}: {fault}" for folder, fault in wrong.items() if fault]


def _fault(folder: str, sample: str) -> str:
    with tempfile.TemporaryDirectory(prefix="interop-") as home:
        try:
            done = subprocess.run(
                _command(folder),
                input=_in_the_project(folder, sample),
                cwd=ROOT if _is_python(folder) else (FOLDER / folder).parent,
                env=_environment(home),
                capture_output=True,
                text=True,
                timeout=SAMPLE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"It took over {SAMPLE_SECONDS} s."
    if done.returncode == 0 and READ in done.stdout:
        return ""
    return f"It ended with {done.returncode}. {(done.stdout + done.stderr)[-2000:]}"


def _is_python(folder: str) -> bool:
    return not folder.startswith("node/")


def _command(folder: str) -> list[str]:
    if _is_python(folder):
        return [str(CACHE / folder / "bin" / "python"), "-m", f"interop.{folder}.sample"]
    return [str(Path(sys.executable).with_name("node")), "--input-type=module"]


def _in_the_project(folder: str, sample: str) -> str:
    """Change to the project's folder, because Node looks for packages where it starts."""
    return sample if _is_python(folder) else f"process.chdir({json.dumps(str(ROOT))});\n{sample}"


def _environment(home: str) -> dict[str, str]:
    """Return an environment without access to other machines."""
    nowhere = "http://127.0.0.1:9"
    return {
        "PATH": os.environ.get("PATH", ""),
        "HOME": home,
        "HTTP_PROXY": nowhere,
        "HTTPS_PROXY": nowhere,
        "NO_PROXY": "127.0.0.1,localhost",
    }
