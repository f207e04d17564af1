"""What browsers are told beside the answer: what a page may do, and which other sites' pages may call."""

from collections.abc import Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "content-security-policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Of every answer. A page may load and call what this server serves and nothing else, with no script or style in its
markup; nobody may frame it, or take an answer for something else than its type says."""

_MAY_BE_SENT = b"content-type, if-none-match, last-event-id, x-request-id"
_MAY_BE_READ = b"etag, retry-after, x-request-id"
_REMEMBERED = b"600"


class CrossOrigin:
    """Lets pages of some origins call (CORS). To those of others the browser shows nothing: no header tells it to.

    Args:
        app: What is inside.
        origins: The origins, as "https://game.example".
    """

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app = app
        self._origins = {origin.encode() for origin in origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"])
        added = [(b"vary", b"origin")]
        if (origin := given.get(b"origin")) in self._origins:
            added += [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", _MAY_BE_READ)]
        asks_first = len(added) > 1 and scope["method"] == "OPTIONS" and b"access-control-request-method" in given

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *added]
                if asks_first:
                    message["headers"] += [
                        (b"access-control-allow-methods", dict(message["headers"]).get(b"allow", b"")),
                        (b"access-control-allow-headers", _MAY_BE_SENT),
                        (b"access-control-max-age", _REMEMBERED),
                    ]
            await send(message)

        await self._app(scope, receive, answer)
