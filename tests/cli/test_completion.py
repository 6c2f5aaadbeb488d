"""layer-mcp completion, as the shells use it."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from ..support.terminal import Person

pytestmark = pytest.mark.process

BASH = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_layer_mcp
printf '%s\\n' "${COMPREPLY[@]}"
"""
FISH = "source $argv[1]; complete -C (string join ' ' -- $argv[2..])"
SHELLS = {"bash": ["bash", "-c", BASH, "bash"], "fish": ["fish", "-c", FISH]}
CASES = [
    (("gener",), ["generate"]),
    (("generate", "--no-ke"), ["--no-keep-audio"]),
    (("generate", "--picture", ""), ["auto", "blocks", "never"]),
    (("install", "curs"), ["cursor"]),
    (("--sandbox", "status", ""), ["last"]),
    (("help", "gener"), ["generate"]),
]


@pytest.fixture(params=["bash", "fish"])
def shell(request: pytest.FixtureRequest) -> str:
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return request.param


@pytest.mark.parametrize(("words", "found"), CASES, ids=str)
def test_a_shell_completes(
    words: Sequence[str], found: list[str], shell: str, person: Person, tmp_path: Path
) -> None:
    script = tmp_path / "script"
    script.write_text(person.done("completion", shell))
    done = subprocess.run(
        [*SHELLS[shell], str(script), "layer-mcp", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(line.partition("\t")[0] for line in done.stdout.splitlines()) == sorted(found)


def test_a_file_is_completed_where_an_option_takes_one(person: Person, tmp_path: Path) -> None:
    zsh, fish = (person.done("completion", shell) for shell in ("zsh", "fish"))
    assert ": :_files'" in next(one for one in zsh.split("'*") if one.startswith("--mask["))
    assert ": :_files -/'" in next(one for one in zsh.split("'*") if one.startswith("--out["))
    assert "-l mask -r -F" in fish


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_accepts_the_script(person: Person, tmp_path: Path) -> None:
    script = tmp_path / "_layer-mcp"
    script.write_text(person.done("completion", "zsh"))
    subprocess.run(["zsh", "-n", script], check=True)


def test_an_unknown_shell_is_refused_with_the_known_ones(person: Person) -> None:
    ended = person.here("completion", "tcsh")
    assert ended.returncode == 2
    assert "bash', 'zsh', 'fish'" in ended.stderr
