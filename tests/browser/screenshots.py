"""Takes the pictures of docs/screenshots: `python -m tests.browser.screenshots`, or with names to take only those.

Every view in the width of a desk and of a phone, in light and in dark, in front of a set of its own that fights a few
hundred battles. Where there is a pngquant, the pictures get a palette instead of all colors, which makes them small.
"""

import asyncio
import itertools
import random
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from playwright.async_api import Browser, ViewportSize, expect

from local import roster
from local.settings import ROOT
from tests.browser import chromium
from tests.browser.chromium import Visit
from tests.browser.people import call, create, stopped
from tests.e2e.stack import Stack

FOLDER = ROOT / "docs" / "screenshots"
WIDTHS = {"desktop": ViewportSize(width=1280, height=860), "phone": ViewportSize(width=390, height=844)}
SCHEMES = ("light", "dark")
PLAYERS = 24
BATTLES = 400

View = Callable[[Visit, "Scene"], AbstractAsyncContextManager[None]]
"""Shows something in a window as long as the context."""


class Scene:
    """The players and battles that the pictures show.

    Args:
        stack: The running set.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.players: list[Any] = []
        self.me: Any = None
        self.battle_id = ""

    async def play_out(self) -> None:
        """Creates players and lets them fight; keeps a battle of some turns to show."""
        url = self.stack.url
        dice = random.Random(7)
        for request in itertools.islice(roster.combatants(), PLAYERS):
            self.players.append(await create(url, **MessageToDict(request, preserving_proto_field_name=True)))
        told = "Reads the rules first, then fights. Keeps every receipt."
        values = {"attack": 92, "hit_points": 128, "luck": 24, "gold": 12_500, "silver": 31_000}
        self.me = await create(url, name="Ottoline Brightwater", description=told, **values)
        everybody = [*self.players, self.me]
        await self.submit([dice.sample(everybody, 2) for _ in range(BATTLES)])
        battles = await call(url, "GET", f"/v1/battles?player_id={self.me['player_id']}&page_size=100")
        longest = 0
        for battle in battles["battles"]:
            report = await call(url, "GET", f"/v1/battles/{battle['battle_id']}/report")
            if battle["challenger_id"] == self.me["player_id"] and len(report["turns"]) > longest:
                longest, self.battle_id = len(report["turns"]), battle["battle_id"]

    async def submit(self, pairs: Iterable[list[Any]]) -> None:
        """Submits battles and waits until all have ended."""
        requests = [{"challenger_id": a["player_id"], "opponent_id": b["player_id"]} for a, b in pairs if a is not b]
        answer = await call(self.stack.url, "POST", "/v1/battles:submitBatch", {"requests": requests})
        last = answer["results"][-1]["battle"]["battle_id"]
        async with asyncio.timeout(60):
            while (await call(self.stack.url, "GET", f"/v1/battles/{last}"))["state"] == "QUEUED":
                await asyncio.sleep(0.05)


async def play_me(visitor: Visit, scene: Scene) -> None:
    """Lets the window's browser play the player in the middle of the pictures."""
    await visitor.go(f"/player/{scene.me['player_id']}")
    await visitor.page.get_by_role("button", name="Play as").click()


@asynccontextmanager
async def board(visitor: Visit, scene: Scene) -> AsyncIterator[None]:
    """The standings just after some battles, while rows still tell how far they moved."""
    await play_me(visitor, scene)
    await visitor.go("/")
    await expect(visitor.page.locator(".board-card tbody tr").nth(9)).to_be_visible()
    await expect(visitor.page.locator(".around .mine")).to_be_visible()
    rows = await call(scene.stack.url, "GET", "/v1/leaderboards/all/entries?page_size=12")
    by_id = {player["player_id"]: player for player in [*scene.players, scene.me]}
    top = [by_id[entry["player_id"]] for entry in rows["entries"]]
    deltas = visitor.page.locator(".board-card tbody tr:nth-child(-n+8) .delta-up")
    for _ in range(10):
        await scene.submit([[top[place], random.choice(scene.players)] for place in (3, 5, 5, 7, 7, 8)])
        await asyncio.sleep(1.2)  # the glide ends, the marks stay for a while
        if await deltas.count() >= 1:
            break

    yield


@asynccontextmanager
async def battle(visitor: Visit, scene: Scene) -> AsyncIterator[None]:
    """A replay in the middle of a blow."""
    await play_me(visitor, scene)
    page = visitor.page
    await visitor.go(f"/battle/{scene.battle_id}")
    await page.get_by_role("button", name="Pause").click()
    report = await call(scene.stack.url, "GET", f"/v1/battles/{scene.battle_id}/report")
    hits = [number for number, turn in enumerate(report["turns"], 1) if turn["hit"]]
    slider = page.get_by_role("slider", name="Turn")
    await slider.fill(str(hits[len(hits) // 2] - 1))
    await page.get_by_role("button", name="One turn on").click()
    await visitor.evaluate("scrollTo(0, 0)")
    await asyncio.sleep(0.3)  # the moment of the blow

    yield


@asynccontextmanager
async def result(visitor: Visit, scene: Scene) -> AsyncIterator[None]:
    """A replay at its end."""
    await play_me(visitor, scene)
    await visitor.go(f"/battle/{scene.battle_id}")
    await visitor.page.get_by_role("button", name="To the end", exact=True).click()
    await visitor.page.get_by_role("button", name="Verify").click()
    await visitor.page.get_by_role("button", name="Verified").wait_for()
    await asyncio.sleep(0.8)

    yield


@asynccontextmanager
async def player(visitor: Visit, scene: Scene) -> AsyncIterator[None]:
    """A player's page."""
    await visitor.go(f"/player/{scene.me['player_id']}")
    await expect(visitor.page.locator(".ledger li").nth(5)).to_be_visible()
    await expect(visitor.page.locator(".history li").nth(5)).to_be_visible()
    await asyncio.sleep(1)

    yield


@asynccontextmanager
async def arena(visitor: Visit, scene: Scene) -> AsyncIterator[None]:
    """The arena, with the list of opponents open."""
    await play_me(visitor, scene)
    await visitor.go(f"/arena/{scene.players[8]['player_id']}")
    await expect(visitor.page.locator(".side-opponent .side-name")).to_be_visible()
    await visitor.page.get_by_role("combobox", name="Opponent").fill("el")
    await visitor.page.get_by_role("option").first.wait_for()

    yield


@asynccontextmanager
async def create_form(visitor: Visit, scene: Scene) -> AsyncIterator[None]:
    """The form, with something wrong in it."""
    page = visitor.page
    await visitor.go("/new")
    await page.get_by_label("Name").fill("Wilhelmina Ravensworth")
    await page.get_by_label("Attack").fill("90")
    await page.get_by_label("Luck").fill("95")
    await page.get_by_label("Name").focus()

    yield


@asynccontextmanager
async def empty(visitor: Visit, scene: Scene) -> AsyncIterator[None]:
    """The board of a server where nobody has fought yet."""
    await visitor.go("/")
    await expect(visitor.page.get_by_text("The field is empty")).to_be_visible()

    yield


@asynccontextmanager
async def service_down(visitor: Visit, scene: Scene) -> AsyncIterator[None]:
    """The standings while the leaderboard is stopped."""
    await play_me(visitor, scene)
    await visitor.go("/")
    await expect(visitor.page.locator(".board-card tbody tr").nth(9)).to_be_visible()
    await expect(visitor.page.locator(".around .mine")).to_be_visible()
    with stopped(scene.stack, "leaderboard"):
        await expect(visitor.page.locator("#notice")).to_be_visible()
        await expect(visitor.page.locator(".stale")).to_be_visible()
        await asyncio.sleep(0.5)
        yield
    await expect(visitor.page.locator("#notice")).to_be_hidden()


VIEWS: dict[str, View] = {
    "empty": empty,  # first, before anybody fights
    "board": board,
    "battle": battle,
    "result": result,
    "player": player,
    "arena": arena,
    "create": create_form,
    "service-down": service_down,
}


async def shoot(browser: Browser, scene: Scene, name: str) -> None:
    """Takes one view in every width and scheme."""
    for (width, viewport), scheme in itertools.product(WIDTHS.items(), SCHEMES):
        path = FOLDER / f"{name}-{width}-{scheme}.png"
        options = {"viewport": viewport, "color_scheme": scheme, "is_mobile": width == "phone"}
        async with (
            chromium.visit(browser, scene.stack.url, fails=True, **options) as visitor,
            VIEWS[name](visitor, scene),
        ):
            await visitor.page.screenshot(path=path)
        if shutil.which("pngquant"):
            quantise = ("pngquant", "--force", "--skip-if-larger", "--strip", "--ext", ".png", path)
            await (await asyncio.create_subprocess_exec(*quantise)).wait()
        sys.stdout.write(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB\n")


async def main(names: list[str]) -> None:
    """Takes the views of these names."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)).running() as stack:
        scene = Scene(stack)
        async with chromium.browser() as browser:
            for name in names:
                if name != "empty" and not scene.players:
                    await scene.play_out()
                await shoot(browser, scene, name)


if __name__ == "__main__":
    asyncio.run(main([name for name in VIEWS if name in sys.argv[1:] or not sys.argv[1:]]))
