"""Answers in the form that fits the request: plain, compressed, or not at all, since the client has them already."""

import asyncio
import hashlib
import re
import zlib
from typing import Literal

from starlette.types import Message, Receive, Scope, Send

NEVER = "no-store"
"""Cache-Control of what may change at any time."""
IF_UNCHANGED = "no-cache"
"""Cache-Control of what may be kept, and used after asking whether it is still the same."""
FOREVER = "public, max-age=31536000, immutable"
"""Cache-Control of what never changes."""

COMPRESSED_FROM = 1024
"""The bytes from which compressing pays. Fewer fit into one packet anyway."""
_IN_A_THREAD_FROM = 1 << 17
_LEVEL = 4
_GZIP = 16 + zlib.MAX_WBITS
_ACCEPTS_GZIP = re.compile(rb"(^|,)\s*gzip\s*(,|;(?!\s*q=0(\.0*)?\s*(,|$))|$)", re.IGNORECASE)

Headers = list[tuple[bytes, bytes]]


class Answer:
    """A successful answer. Its forms are made once, and may be sent many times.

    Args:
        body: What is answered.
        media_type: Of what kind it is.
        cache_control: Whether clients may keep it.
        etag: The kind of its ETag, None for none. A strong one is another one for the compressed form.
    """

    def __init__(
        self,
        body: bytes,
        media_type: str = "application/json",
        cache_control: str = NEVER,
        etag: Literal["strong", "weak"] | None = None,
    ) -> None:
        self._body = body
        self._headers: Headers = [(b"cache-control", cache_control.encode())]
        self._content: Headers = [(b"content-type", media_type.encode())]
        self._is_compressible = len(body) >= COMPRESSED_FROM
        if self._is_compressible:
            self._headers.append((b"vary", b"accept-encoding"))
        self._tags: tuple[bytes, ...] = ()
        if etag:
            name = hashlib.blake2b(body, digest_size=12).hexdigest()
            forms = ('W/"%s"', 'W/"%s"') if etag == "weak" else ('"%s"', '"%s-gzip"')
            self._tags = tuple((form % name).encode() for form in forms)
        self._forms: dict[tuple[bool, bool], tuple[Message, Message]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_known = compress = False
        for name, value in scope["headers"]:
            if name == b"accept-encoding":
                compress = self._is_compressible and _ACCEPTS_GZIP.search(value) is not None
            elif name == b"if-none-match" and self._tags:
                is_known = self._is_among(value)
        form = self._forms.get((is_known, compress))
        if form is None:
            form = self._forms[is_known, compress] = await self._make(is_known, compress)
        start, body = form
        await send(dict(start))  # whoever passes it on may add to it
        await send(body)

    async def _make(self, is_known: bool, compress: bool) -> tuple[Message, Message]:
        """Makes the messages of a form: without the body where the client knows it, or with it, compressed or not."""
        headers, body = self._headers, b""
        if self._tags:
            headers = [*headers, (b"etag", self._tags[compress])]
        if not is_known:
            body = self._body
            if compress:
                body = _gzip(body) if len(body) < _IN_A_THREAD_FROM else await asyncio.to_thread(_gzip, body)
                headers = [*headers, (b"content-encoding", b"gzip")]
            headers = [*headers, *self._content, (b"content-length", b"%d" % len(body))]
        start = {"type": "http.response.start", "status": 304 if is_known else 200, "headers": headers}
        return start, {"type": "http.response.body", "body": body}

    def _is_among(self, listed: bytes) -> bool:
        """Tells whether an If-None-Match names this answer, in either form: for that, weak is as good as strong."""
        names = {tag.strip().removeprefix(b"W/") for tag in listed.split(b",")}
        return b"*" in names or any(tag.removeprefix(b"W/") in names for tag in self._tags)


def _gzip(body: bytes) -> bytes:
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    return compressor.compress(body) + compressor.flush()
