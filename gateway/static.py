"""The page: the files of ``gateway/page``, read once. A path that is not one of theirs leads nowhere."""

from collections.abc import Iterator
from pathlib import Path

from starlette.requests import Request
from starlette.types import ASGIApp

from gateway.answers import IF_UNCHANGED, Answer
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
    """Yields path and method of every file, and its endpoint; the index is at "/"."""
    for path in sorted(PAGE.rglob("*")):
        if path.suffix in TYPES:
            name = path.relative_to(PAGE).as_posix()
            yield (f"/{'' if name == INDEX else name}", "GET"), Fixed(path.read_bytes(), TYPES[path.suffix])
