"""Points at which a process can be told to die, so that tests can prove that it may.

``SKIRMISH_CRASH=work.after_settle`` ends the process when it first comes to the point of that name, and
``SKIRMISH_CRASH=work.after_settle:3`` when it comes there for the third time. Without the variable nothing happens.
"""

import os
import signal

_NAME, _, _times = os.environ.get("SKIRMISH_CRASH", "").partition(":")
_left = int(_times or 1)


def point(name: str) -> None:
    """Ends the process here and now, as ``kill -9`` does, if it was told to die at the point of this name."""
    if name == _NAME:
        _pass()


def _pass() -> None:
    global _left
    _left -= 1
    if _left == 0:
        os.write(2, f"crash point {_NAME}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)
