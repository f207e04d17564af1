"""The gateway: HTTP/JSON in front of the three services."""

import http.client
import sys

from gateway.server import serve
from gateway.settings import Settings
from services.common import cli


def health(settings: Settings) -> None:
    """Ask a running gateway for its heartbeat; fail unless all services are SERVING."""
    host, _, port = settings.address.rpartition(":")
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=cli.HEALTH_TIMEOUT)
    try:
        connection.request("GET", "/heartbeat")
        answer = connection.getresponse()
        print(f"{settings.address}: {answer.read().decode()}")  # noqa: T201
    except OSError as error:
        sys.exit(f"{settings.address}: {error}")
    finally:
        connection.close()
    if answer.status != 200:
        sys.exit(1)


if __name__ == "__main__":
    cli.main("gateway", "HTTP/JSON in front of the three services.", Settings, {"serve": serve, "health": health})
