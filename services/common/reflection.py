"""Server reflection under both names: v1alpha, which grpcio ships, and v1, which newer clients ask for first.

The messages of the two are the same on the wire, so one servicer answers both.
"""

from collections.abc import Iterable

import grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha._async import ReflectionServicer

NAMES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


def add_to_server(service_names: Iterable[str], server: grpc.aio.Server) -> None:
    """Answers reflection calls about the named services, and about reflection itself."""
    servicer = ReflectionServicer([*service_names, NAMES[1]])
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    for name in NAMES:
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": handler})])
