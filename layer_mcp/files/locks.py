"""A lock on an open file. Other processes respect it, and the system releases it."""

import sys
from io import BufferedRandom

if sys.platform == "win32":
    import msvcrt

    # Past the end of any file, because other processes can't read a locked byte.
    LOCKED_OFFSET = 1 << 62

    def try_lock(file: BufferedRandom) -> bool:
        """Lock a file until it is closed; return False if another process has locked it."""
        offset = file.tell()
        try:
            file.seek(LOCKED_OFFSET)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            file.seek(offset)
        return True

else:
    import fcntl

    def try_lock(file: BufferedRandom) -> bool:
        """Lock a file until it is closed; return False if another process has locked it."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
