"""Opaque page tokens (AIP-158): where a page ended, bound to the list and the filter it belongs to."""

import base64
import binascii
import hashlib
import json

from services.common.errors import InvalidArgument, Violation

Cursor = list[int | str]
"""Where a page ended, in whatever numbers and texts the list is ordered by."""


def _seal(scope: tuple[object, ...], body: bytes) -> bytes:
    return hashlib.blake2b(repr(scope).encode() + b"\0" + body, digest_size=8).digest()


def encode_token(scope: tuple[object, ...], cursor: Cursor) -> str:
    """Returns a token for the page after a cursor.

    Args:
        scope: The list and every filter in force, as ("ListPlayers", "An").
        cursor: The place of the last row of the page.
    """
    body = json.dumps(cursor, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_seal(scope, body) + body).decode().rstrip("=")


def decode_token(scope: tuple[object, ...], token: str) -> Cursor | None:
    """Returns the cursor of a token, None for the empty token of a first page.

    Raises:
        InvalidArgument: The token is not one, or belongs to another list or filter.
    """
    if not token:
        return None
    try:
        raw = base64.b64decode(token.encode() + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        seal, body = raw[:8], raw[8:]
        if seal != _seal(scope, body):
            raise ValueError
        cursor: Cursor = json.loads(body)
    except (ValueError, binascii.Error):
        wrong = Violation(
            "page_token", "must be the next_page_token of a page with the same filter; leave it out for the first page"
        )
        raise InvalidArgument([wrong]) from None
    return cursor
