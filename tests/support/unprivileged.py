"""Servers that run as a user without rights, even if the tests run as root."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path


def start_unprivileged(
    command: Sequence[str], folder: Path, path: str = os.defpath
) -> subprocess.Popen[bytes]:
    """Start a program in a folder, which gets its log. `path` is where it finds other programs."""
    user = other_user()
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"PATH": path, "LC_ALL": "C"},
            # A signal for the tests must not stop it first.
            start_new_session=True,
            user=user[0] if user else None,
            group=user[1] if user else None,
            extra_groups=() if user else None,
        )


def give_away(*paths: Path) -> None:
    """Let the user that `start_unprivileged` runs a program as own these files and folders."""
    if user := other_user():
        for path in paths:
            os.chown(path, *user)


def other_user() -> tuple[int, int] | None:
    """Return the IDs of the user and group to run a server as, or None to run it as this user."""
    if os.geteuid() != 0:
        return None
    # Windows doesn't have it.
    import pwd

    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return user.pw_uid, user.pw_gid
    raise AssertionError("There is no user that a server can run as.")
