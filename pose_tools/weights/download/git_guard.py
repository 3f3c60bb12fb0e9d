"""Ends git when the process that started it is gone; run as a program of its own.

However that process ends (a kill, a closed terminal), its end of the pipe to this one closes. Without it git would
go on fetching for nobody.
"""
from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys


def end_group(leader: int) -> None:
    """Ends a process and all that it has started.

    Args:
        leader: Its id; on POSIX it leads a process group of its own.
    """
    if os.name == "nt":
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(leader)], check=False, capture_output=True)
        return
    with contextlib.suppress(OSError):
        os.killpg(leader, signal.SIGKILL)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    end_group(int(sys.argv[1]))
