"""The resident size of this process."""

import re
import resource
import sys
from pathlib import Path

import psutil

PEAK = re.compile(r"VmHWM:\s+(\d+) kB")


def rss_bytes() -> int:
    """What it is now."""
    return psutil.Process().memory_info().rss


def peak_rss_bytes() -> int:
    """What it was at most since the process began, however short that lasted."""
    if sys.platform == "linux":
        # Not ru_maxrss: there a process inherits the peak of the one that started it.
        found = PEAK.search(Path("/proc/self/status").read_text())
        assert found is not None
        return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
