"""What is the same as long as the process lives: the files of ``gateway/page`` and the descriptions of the API.

Everything is read or made at the start, so a path that is not one of theirs leads nowhere.
"""

from collections.abc import Iterator
from pathlib import Path

from starlette.requests import Request
from starlette.types import ASGIApp

from gateway.answers import IF_UNCHANGED, Answer
from gateway.collection import collect
from gateway.openapi import document
from gateway.printing import to_json
from gateway.reference import STYLE, render
from gateway.routes import Endpoint

PAGE = Path(__file__).parent / "page"
INDEX = "index.html"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""The kinds of files there are. Others, such as those that editors leave, are not served."""


class Fixed:
    """The endpoint of what is the same as long as the process lives.

    A browser keeps it and asks each time whether it is still the same, so that a new version is seen at once.

    Args:
        body: What is answered.
        media_type: Of what kind it is.
    """

    def __init__(self, body: bytes, media_type: str) -> None:
        self._answer = Answer(body, media_type, IF_UNCHANGED, "strong")

    async def __call__(self, request: Request) -> ASGIApp:
        return self._answer


def endpoints() -> Iterator[tuple[tuple[str, str], Endpoint]]:
    """Yields path and method of each, and its endpoint; the index of the page is at "/"."""
    for path in sorted(PAGE.rglob("*")):
        if path.suffix in TYPES:
            name = path.relative_to(PAGE).as_posix()
            yield (f"/{'' if name == INDEX else name}", "GET"), Fixed(path.read_bytes(), TYPES[path.suffix])
    described = document()
    yield ("/openapi.json", "GET"), Fixed(to_json(described).encode(), "application/json")
    yield ("/collection.json", "GET"), Fixed(to_json(collect(described)).encode(), "application/json")
    yield ("/docs", "GET"), Fixed(render(described).encode(), TYPES[".html"])
    yield (STYLE, "GET"), Fixed((PAGE.parent / "reference.css").read_bytes(), TYPES[".css"])
