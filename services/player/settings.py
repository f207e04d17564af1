"""What the player service can be told from outside."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.common.settings import Address, ServerSettings
from services.player.players import RANGES


class PlayerSettings(ServerSettings):
    """Settings of the player service."""

    model_config = SettingsConfigDict(env_prefix="PLAYER_")

    address: Address = Field("127.0.0.1:50051", description="Where the service listens.")
    database_url: str = Field("sqlite:///.data/player.db", description="The SQL database: SQLite or PostgreSQL.")
    # A thousand players with the longest descriptions in four-byte characters are a little more than 4 MiB.
    max_message_bytes: int = Field(8 << 20, ge=1024, description="The largest message taken or sent.")
    block_timeout: float = Field(
        0.25, ge=0, description="Seconds that a battle waits for its turn before it is answered BLOCKED."
    )
    default_gold: int = Field(1000, ge=RANGES["gold"][0], le=RANGES["gold"][1], description="A new player's gold.")
    default_silver: int = Field(
        1000, ge=RANGES["silver"][0], le=RANGES["silver"][1], description="A new player's silver."
    )
    default_attack: int = Field(
        70, ge=RANGES["attack"][0], le=RANGES["attack"][1], description="A new player's attack."
    )
    default_hit_points: int = Field(
        100, ge=RANGES["hit_points"][0], le=RANGES["hit_points"][1], description="A new player's hit points."
    )
    default_luck: int = Field(
        10, ge=RANGES["luck"][0], le=RANGES["luck"][1], description="A new player's luck, in percent."
    )
