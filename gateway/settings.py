"""What the gateway can be told from outside."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.common.settings import Address, ServiceSettings


class Settings(ServiceSettings):
    """Settings of the gateway, from the environment with the prefix ``GATEWAY_``."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_")

    address: Address = Field("127.0.0.1:8080", description="Where to listen; port 0 lets the system choose.")
    player_address: Address = Field("127.0.0.1:50051", description="Where the player service listens.")
    battle_address: Address = Field("127.0.0.1:50052", description="Where the battle service listens.")
    leaderboard_address: Address = Field("127.0.0.1:50053", description="Where the leaderboard service listens.")
    processes: int = Field(1, ge=1, le=64, description="Processes that share the port.")
    timeout: float = Field(
        10.0, gt=0, description="Seconds that a service gets to answer, and a client to send a body."
    )
    health_timeout: float = Field(2.0, gt=0, description="Seconds that a service gets to tell its health.")
    idle_timeout: int = Field(
        30,
        ge=1,
        description="Seconds that a connection may take to send a request's head, to begin another request, or to take "
        "anything of an answer.",
    )
    max_body_bytes: int = Field(1 << 20, ge=1024, description="The largest body taken.")
    max_head_bytes: int = Field(
        65_535, ge=1024, le=65_535, description="The largest request line and headers taken, and so the longest URL."
    )
    max_concurrent_requests: int = Field(
        1000, ge=1, description="Requests that may wait for services at once, in each process; more are answered 429."
    )
    max_streams: int = Field(
        500, ge=1, description="Streams that may be open at once, in each process; more are answered 429."
    )
    stream_lifetime: float = Field(
        240.0,
        gt=0,
        description="Seconds after which a stream ends, for the client to open it anew. Keep it below the "
        "MAX_CONNECTION_AGE of the services, which break what is older than twice that.",
    )
    stream_heartbeat: float = Field(15.0, gt=0, description="Seconds of silence after which a stream sends a comment.")
    share_boards: float = Field(
        0.2, ge=0, description="Seconds for which one read of a board answers all who ask the same."
    )
    cors_origins: str = Field(
        "",
        pattern=r"^(https?://[^\s,/*]+(, *https?://[^\s,/*]+)*)?$",
        description="Origins whose pages may call, beside its own, as https://game.example; commas between several.",
    )
