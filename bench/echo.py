"""What the gateway is measured against: a server under the same uvicorn that has nothing to do but to send bytes.

Usage: python -m bench.echo PORT FILE, with the bytes to send.
"""

import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def main() -> None:
    """Serves until it is told to stop."""
    port, file = sys.argv[1:]
    body = Path(file).read_bytes()

    async def echo(_: Request) -> Response:
        return Response(body, media_type="application/json")

    app = Starlette(routes=[Route("/v1/leaderboards/{board}/entries", echo)])
    uvicorn.run(app, port=int(port), loop="uvloop", http="httptools", access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
