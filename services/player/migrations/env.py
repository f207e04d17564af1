"""Run by Alembic for every migration."""

from services.common.migrations import run_environment
from services.player.schema import METADATA

run_environment(METADATA, "services.player")
