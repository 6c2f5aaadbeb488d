"""Pass the protocol between a host and the server, and record the version that they use.

Run as `python overheard.py NOTE SERVER`; needs nothing but the standard library.
"""

import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

SPOKEN = re.compile(rb'"(?:io\.modelcontextprotocol/)?protocolVersion": ?"([\d-]+)"')


def main() -> int:
    """Pass messages until the server ends, and return its exit code."""
    note, *server = sys.argv[1:]
    with subprocess.Popen(server, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        to_server = (sys.stdin.buffer, process.stdin, Path(note))
        threading.Thread(target=_passed, args=to_server, daemon=True).start()
        _passed(process.stdout, sys.stdout.buffer, Path(note))
        return process.wait()


def _passed(said: IO[bytes], heard: IO[bytes], note: Path) -> None:
    for line in said:
        # In an older handshake, the server's answer decides.
        if spoken := SPOKEN.search(line):
            note.write_bytes(spoken[1])
        heard.write(line)
        heard.flush()
    heard.close()


if __name__ == "__main__":
    raise SystemExit(main())
