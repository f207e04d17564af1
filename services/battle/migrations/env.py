"""Alembic's entry."""

from services.battle.schema import METADATA
from services.common.migrations import run_environment

run_environment(METADATA, "services.battle")
