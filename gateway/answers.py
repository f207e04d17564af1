"""Answers in the form that fits the request: plain, compressed, or not at all, since the client has them already."""

import asyncio
import hashlib
import re
import zlib
from typing import Literal

from starlette.types import Receive, Scope, Send

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
        self._compressed = b""
        self._type = (b"content-type", media_type.encode())
        self._headers: Headers = [(b"cache-control", cache_control.encode())]
        if len(body) >= COMPRESSED_FROM:
            self._headers.append((b"vary", b"accept-encoding"))
        self._tags: tuple[bytes, ...] = ()
        if etag:
            name = hashlib.blake2b(body, digest_size=12).hexdigest()
            forms = ('W/"%s"', 'W/"%s"') if etag == "weak" else ('"%s"', '"%s-gzip"')
            self._tags = tuple((form % name).encode() for form in forms)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        known = compress = False
        for name, value in scope["headers"]:
            if name == b"accept-encoding":
                compress = len(self._body) >= COMPRESSED_FROM and _ACCEPTS_GZIP.search(value) is not None
            elif name == b"if-none-match" and self._tags:
                known = self._is_among(value)
        headers, body = self._headers, self._body
        if self._tags:
            headers = [*headers, (b"etag", self._tags[compress])]
        if known:
            body = b""
        else:
            if compress:
                body = await self._compress()
                headers = [*headers, (b"content-encoding", b"gzip")]
            headers = [*headers, self._type, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 304 if known else 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _is_among(self, listed: bytes) -> bool:
        """Tells whether an If-None-Match names this answer, in either form: for that, weak is as good as strong."""
        names = {tag.strip().removeprefix(b"W/") for tag in listed.split(b",")}
        return b"*" in names or any(tag.removeprefix(b"W/") in names for tag in self._tags)

    async def _compress(self) -> bytes:
        if not self._compressed:
            if len(self._body) < _IN_A_THREAD_FROM:
                self._compressed = _gzip(self._body)
            else:
                self._compressed = await asyncio.to_thread(_gzip, self._body)
        return self._compressed


def _gzip(body: bytes) -> bytes:
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    return compressor.compress(body) + compressor.flush()
