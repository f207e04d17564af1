"""Server reflection under both names: v1alpha, which grpcio ships, and v1, which newer clients ask for first.

The messages of the two are the same on the wire, so one servicer answers both.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import grpc
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha._async import ReflectionServicer

NAMES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


class _Servicer(ReflectionServicer):
    """Finds methods, fields and enum values too, which Python's descriptor pool knows only with what they belong to."""

    def _file_containing_symbol(self, request: Any, fully_qualified_name: str) -> Any:
        answer: Any = super()._file_containing_symbol(request, fully_qualified_name)  # type: ignore[misc]
        owner = fully_qualified_name.rpartition(".")[0]
        if answer.HasField("error_response") and owner:
            owned: Any = super()._file_containing_symbol(request, owner)  # type: ignore[misc]
            found = owned.file_descriptor_response.file_descriptor_proto
            if any(fully_qualified_name in _members(FileDescriptorProto.FromString(file)) for file in found):
                return owned
        return answer


def _members(file: FileDescriptorProto) -> set[str]:
    """Returns the full names of all methods, fields and enum values of a file."""

    def of_message(prefix: str, message: DescriptorProto) -> Iterator[str]:
        name = f"{prefix}.{message.name}"
        yield from (f"{name}.{field.name}" for field in message.field)
        yield from (f"{name}.{enum.name}.{value.name}" for enum in message.enum_type for value in enum.value)
        for nested in message.nested_type:
            yield from of_message(name, nested)

    names = {f"{file.package}.{service.name}.{m.name}" for service in file.service for m in service.method}
    names |= {f"{file.package}.{enum.name}.{value.name}" for enum in file.enum_type for value in enum.value}
    return names.union(*(of_message(file.package, message) for message in file.message_type))


def add_to_server(service_names: Iterable[str], server: grpc.aio.Server) -> None:
    """Answers reflection calls about the named services, and about reflection itself."""
    servicer = _Servicer([*service_names, NAMES[1]])
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    for name in NAMES:
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": handler})])
