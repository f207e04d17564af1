"""What clients did and what they were told, one JSON object a line, as it happened.

Every operation is two lines: ``invoke`` when it is sent, and then ``ok``, ``fail`` (it surely was not done) or
``unknown`` (it may have been done, or be done yet). Times are seconds of one monotonic clock.
"""

import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

INFINITY = float("inf")
_NUMBER = re.compile(r"-\d+$")  # of a replica


class Writer:
    """Writes a history."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w")
        self._operations = 0
        self.counts: Counter[str] = Counter()

    def invoke(self, client: int, kind: str, asked: Any) -> int:
        """Notes that something is about to be asked for, and returns the number of the operation."""
        self._operations += 1
        self._write(self._operations, "invoke", client=client, kind=kind, asked=asked)
        return self._operations

    def end(self, operation: int, outcome: str, told: Any) -> None:
        """Notes how an operation ended: "ok", "fail" or "unknown"."""
        self._write(operation, outcome, told=told)

    def note(self, fault: str, target: str, detail: str) -> None:
        """Notes what the nemesis does, and to whom."""
        self._write(0, "fault", told=[fault, target, detail])

    def close(self) -> None:
        """Writes the rest."""
        self._file.close()

    def _write(self, operation: int, happened: str, **more: Any) -> None:
        self.counts[happened] += 1
        line = {"time": time.monotonic(), "operation": operation, "type": happened, **more}
        self._file.write(json.dumps(line, separators=(",", ":")) + "\n")


@dataclass(slots=True)
class Wish:
    """One thing that a client wants done once, over all the times it was asked for.

    ``first_asked`` is when it was sent first, ``first_told`` when it was first acknowledged. ``oks`` has what the
    client was told each time; ``unknown`` counts the times that it was told nothing.
    """

    what: tuple[Any, ...]
    first_asked: float
    first_told: float = INFINITY
    oks: list[Any] = field(default_factory=list)
    unknown: int = 0

    @property
    def must_be(self) -> bool:
        """Whether it was acknowledged."""
        return bool(self.oks)

    @property
    def may_be(self) -> bool:
        """Whether it was acknowledged, or may have been done without a word."""
        return bool(self.oks or self.unknown)


@dataclass
class History:
    """A history that was read: what was wished for, by kind and by what makes it unique, and counts.

    ``impostors`` are wishes under the identity of an earlier one. ``refusals`` are counted by their code, and whether
    they told when to try again.
    """

    wishes: dict[str, dict[tuple[str, ...], Wish]]
    impostors: list[Wish]
    outcomes: Counter[tuple[str, str]]
    faults: Counter[str]
    refusals: Counter[tuple[str, bool]]


def read(path: Path) -> History:
    """Reads a history."""
    history = History(defaultdict(dict), [], Counter(), Counter(), Counter())
    open_operations: dict[int, tuple[str, list[Wish]]] = {}
    with path.open() as lines:
        for line in map(json.loads, lines):
            if line["type"] == "fault":
                fault, target, _ = line["told"]
                history.faults[f"{fault} {_NUMBER.sub('', target)}"] += 1
            elif line["type"] == "invoke":
                kind = line["kind"]
                wishes = [_wish(history, kind, asked, line["time"]) for asked in line["asked"]]
                open_operations[line["operation"]] = kind, wishes
            else:
                kind, wishes = open_operations.pop(line["operation"])
                history.outcomes[kind, line["type"]] += 1
                if line["type"] == "fail":
                    code, _, delay = line["told"]
                    history.refusals[code, delay is not None] += 1
                _end(wishes, line)
    for kind, wishes in open_operations.values():  # the run ended first
        history.outcomes[kind, "unknown"] += 1
        for wish in wishes:
            wish.unknown += 1
    return history


def _wish(history: History, kind: str, asked: list[Any], time: float) -> Wish:
    new = Wish(tuple(asked), time)
    wish = history.wishes[kind].setdefault(tuple(asked[0]), new)
    if wish.what == new.what:
        return wish
    history.impostors.append(new)
    return new


def _end(wishes: list[Wish], line: Mapping[str, Any]) -> None:
    for index, wish in enumerate(wishes):
        if line["type"] == "unknown":
            wish.unknown += 1
        elif line["type"] == "ok" and (told := line["told"][index]) is not None:
            wish.oks.append(told)
            wish.first_told = min(wish.first_told, line["time"])


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """Gives a writer, and closes it with the context."""
    writer = Writer(path)
    try:
        yield writer
    finally:
        writer.close()
