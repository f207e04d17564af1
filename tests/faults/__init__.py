"""Faults on real processes: see docs/reliability.md."""

import os

# Read when gRPC is first imported. Processes are started by fork and exec, which its handlers of forks complain about.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
