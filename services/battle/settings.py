"""What the battle service and its workers can be told from outside."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.common.settings import Address, ServerSettings


class BattleSettings(ServerSettings):
    """Settings of ``serve`` and of ``work``; both read the same."""

    model_config = SettingsConfigDict(env_prefix="BATTLE_")

    address: Address = Field("127.0.0.1:50052", description="Where the service listens.")
    worker_address: Address = Field(
        "127.0.0.1:0", description="Where a worker answers health checks; by default wherever there is room."
    )
    database_url: str = Field("sqlite:///.data/battle.db", description="The SQL database: SQLite or PostgreSQL.")
    redis_url: str = Field("redis://127.0.0.1:6379/0", description="The Redis-compatible server with the queue.")
    player_address: Address = Field("127.0.0.1:50051", description="Where the player service listens.")
    leaderboard_address: Address = Field("127.0.0.1:50053", description="Where the leaderboard service listens.")
    max_queued: int = Field(
        200_000, ge=1, description="How many battles may wait; beyond it submissions are refused for a while."
    )
    max_queued_per_challenger: int = Field(
        20_000, ge=1, description="How many battles of one challenger may wait; beyond it this challenger is refused."
    )
    max_watchers: int = Field(1000, ge=1, description="How many watch streams one replica keeps open.")
    batch_size: int = Field(256, ge=1, le=1000, description="How many battles a worker takes from the queue at once.")
    batches_at_once: int = Field(4, ge=1, description="How many such batches a worker has in hand.")
    claim_idle: float = Field(
        5.0, gt=0, description="Seconds after which battles in a worker's hands are taken over by another."
    )
    publish_pause: float = Field(
        5.0, gt=0, description="Seconds after which a battle that still waits is published again; doubles each time."
    )
