"""What the services log, read by a simulation instead of written anywhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

Tell = Callable[[str, str, dict[str, Any]], None]
"""Takes the level of a log line, its event and its values."""


class _Log:
    def __init__(self, tell: Tell) -> None:
        for level in ("debug", "info", "warning", "error", "critical"):
            setattr(self, level, self._of(level, tell))

    @staticmethod
    def _of(level: str, tell: Tell) -> Callable[..., None]:
        return lambda event, **values: tell(level, event, values)


@contextmanager
def read_by(tell: Tell) -> Iterator[None]:
    """Has a function told of everything that the services log."""
    kept = [(module, vars(module)["log"]) for module in _modules()]
    log = _Log(tell)
    for module, _ in kept:
        vars(module)["log"] = log
    try:
        yield
    finally:
        for module, before in kept:
            vars(module)["log"] = before


@cache
def _modules() -> list[ModuleType]:
    return [module for name, module in sys.modules.items() if name.startswith("services.") and hasattr(module, "log")]
