"""Runs supervisord so that nothing outlives what started it, whatever ends first and however.

Usage: python -m local.supervise supervisord.conf
"""

import ctypes
import os
import signal
import sys

from supervisor import poller, supervisord
from supervisor.options import ServerOptions

_PR_SET_PDEATHSIG = 1
_ATTENTION = 0.1
"""Seconds within which the end of a process is noticed. supervisord itself takes up to one."""


def end_with_parent() -> None:
    """Asks the system to send SIGTERM to this process when its parent dies. Linux only; elsewhere it does nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Poller(poller.Poller):  # type: ignore[misc]
    """Waits for output of processes, but not for long: their ends are looked for in between."""

    def poll(self, timeout: float) -> tuple[list[int], list[int]]:
        ready: tuple[list[int], list[int]] = super().poll(min(timeout, _ATTENTION))
        return ready


class Options(ServerOptions):  # type: ignore[misc]
    """supervisord's options; every process it starts is told to end with it."""

    first = True
    test = False

    def __init__(self) -> None:
        super().__init__()
        self.poller = Poller(self)

    def setpgrp(self) -> None:
        """Runs in the new process, before it becomes the program."""
        super().setpgrp()
        end_with_parent()


def main(configuration: str, parent: int) -> None:
    """Supervises until SIGTERM.

    Args:
        configuration: The path of supervisord.conf.
        parent: The process id of what started this one.
    """
    end_with_parent()
    if os.getppid() != parent:  # it died before it could be noticed
        return
    options = Options()
    options.realize(["-c", configuration])
    supervisord.go(options)
    options.close_httpservers()
    options.close_logger()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
