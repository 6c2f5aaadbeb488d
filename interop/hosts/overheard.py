"""Passes the protocol between a host and the server, and notes the version that they speak.

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
    """Until the host closes its end; the server's exit code."""
    note, *server = sys.argv[1:]
    with subprocess.Popen(server, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        ways = [(sys.stdin.buffer, process.stdin), (process.stdout, sys.stdout.buffer)]
        for said, heard in ways:
            threading.Thread(target=_passed, args=(said, heard, Path(note)), daemon=True).start()
        return process.wait()


def _passed(said: IO[bytes], heard: IO[bytes], note: Path) -> None:
    for line in said:
        # Of an older handshake the server's answer is the last word.
        if spoken := SPOKEN.search(line):
            note.write_bytes(spoken[1])
        heard.write(line)
        heard.flush()
    heard.close()


if __name__ == "__main__":
    raise SystemExit(main())
