"""What the leaderboard service can be told from outside."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.common.settings import Address, ServerSettings
from services.leaderboard.boards import Retention


class LeaderboardSettings(ServerSettings):
    """Settings of ``serve`` and ``rebuild``."""

    model_config = SettingsConfigDict(env_prefix="LEADERBOARD_")

    address: Address = Field("127.0.0.1:50053", description="Where the service listens.")
    redis_url: str = Field("redis://127.0.0.1:6379/0", description="The Redis-compatible server with the boards.")
    player_address: Address = Field("127.0.0.1:50051", description="Where the player service listens.")
    feed_interval: float = Field(
        0.5, gt=0, description="Seconds between two looks for score changes that the boards miss."
    )
    max_watchers: int = Field(1000, ge=1, description="How many watch streams one replica keeps open.")
    keep_daily: int = Field(35, ge=0, description="Days that a daily board is kept after its day.")
    keep_weekly: int = Field(26, ge=0, description="Weeks that a weekly board is kept after its week.")
    keep_monthly: int = Field(24, ge=0, description="Months of 31 days that a monthly board is kept after its month.")

    @property
    def retention(self) -> Retention:
        """How long boards are kept."""
        return Retention(self.keep_daily, self.keep_weekly, self.keep_monthly)
