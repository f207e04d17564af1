"""Builds the Python stubs from the contracts, or lints the contracts.

Usage: python protos/build.py [--lint]

The stubs go into the package ``skirmish/`` at the root of the repository: messages, their ``.pyi`` and the gRPC stubs
with theirs, and beside them ``contracts.binpb``, the descriptors with the comments that generated code leaves out. They
are built, not committed, because generated code checks the version of grpcio that it meets.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import grpc_tools
from google.api import annotations_pb2
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
STUBS = ROOT / "skirmish"
BIN = Path(sys.executable).parent


def compile_protos(*outputs: str) -> None:
    """Runs protoc on every contract. Exits with its status when it fails; protoc has then said why."""
    # googleapis-common-protos brings google/api and google/rpc, grpcio-tools brings google/protobuf.
    includes = [PROTOS, Path(annotations_pb2.__file__).parents[2], Path(grpc_tools.__file__).parent / "_proto"]
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    status = protoc.main(["protoc", *(f"-I{path}" for path in includes), *outputs, *sources])
    if status:
        sys.exit(status)


def build() -> None:
    """Replaces ``skirmish/`` with stubs built anew."""
    shutil.rmtree(STUBS, ignore_errors=True)
    compile_protos(
        f"--plugin=protoc-gen-mypy_grpc={BIN / 'protoc-gen-mypy_grpc'}",
        f"--python_out={ROOT}",
        f"--pyi_out={ROOT}",
        f"--grpc_python_out={ROOT}",
        f"--mypy_grpc_out=quiet:{ROOT}",
    )
    for folder in [STUBS, *(path for path in STUBS.rglob("*") if path.is_dir())]:
        (folder / "__init__.py").touch()
    describe(STUBS / "contracts.binpb")


def describe(image: Path) -> None:
    """Writes the descriptors of every contract and of all that they import, comments included."""
    compile_protos("--include_imports", "--include_source_info", f"--descriptor_set_out={image}")


def lint() -> None:
    """Runs ``buf lint``. buf gets descriptors, since it would fetch the imported contracts from a registry itself."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "contracts.binpb"
        describe(image)
        sys.exit(subprocess.run([BIN / "buf", "lint", image, "--config", PROTOS / "buf.yaml"], check=False).returncode)  # noqa: S603


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Builds the Python stubs from the contracts, or lints the contracts.")
    parser.add_argument("--lint", action="store_true", help="lint the contracts instead")
    lint() if parser.parse_args().lint else build()
