"""Channels to other services: every replica behind a name, in turn, with retries where they are safe."""

import json

import grpc

from services.common.errors import SkirmishError, Unavailable

_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{}],
            # UNAVAILABLE alone: every call between services may be sent twice, but only a server that was not there,
            # or is ending, is worth asking again at once.
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}


def open_channel(address: str, max_message_bytes: int = 16 << 20) -> grpc.aio.Channel:
    """Returns a channel to the service at an address, as "127.0.0.1:50051". Close it. Give every call a deadline."""
    return grpc.aio.insecure_channel(
        f"dns:///{address}",
        options=[
            ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
            ("grpc.enable_http_proxy", 0),  # services are neighbours; an http_proxy in the environment is for the world
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.max_send_message_length", max_message_bytes),
            ("grpc.max_reconnect_backoff_ms", 1000),
            ("grpc.initial_reconnect_backoff_ms", 100),
        ],
    )


def to_error(error: grpc.aio.AioRpcError, service: str) -> SkirmishError | grpc.aio.AioRpcError:
    """Returns what to raise when a call to another service failed: Unavailable where trying again may help.

    Any other failure is a defect of ours, and comes back as it is, to be masked at the boundary.
    """
    transient = (
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    )
    if error.code() in transient:
        return Unavailable(f"the {service} service does not answer; try again shortly", service=service)
    return error
