"""The page while something it needs is stopped, and after it has come back."""

import re

from playwright.async_api import expect

from tests.browser.conftest import Visits
from tests.browser.people import STRONG, WEAK, create, fight, stopped
from tests.browser.test_page import play, row, until
from tests.e2e.stack import Stack


async def test_a_stopped_leaderboard_is_told_and_comes_back_by_itself(visit: Visits, stack: Stack) -> None:
    rich = {"gold": 10**9, "silver": 10**9}
    before, later = await create(stack.url, **STRONG), await create(stack.url, **STRONG)
    await fight(stack.url, before, await create(stack.url, **WEAK, **rich))
    async with visit(fails=True) as visitor, visit(fails=True) as newcomer:
        page = visitor.page
        await visitor.go("/")
        await expect(row(visitor, before["name"])).to_be_visible()
        await visitor.evaluate("window.notReloaded = true")
        with stopped(stack, "leaderboard"):
            notice = page.locator("#notice")
            await expect(notice).to_contain_text("The leaderboard does not answer")
            await expect(page.get_by_role("region", name="Health of the services")).to_contain_text("leaderboard down")
            await expect(row(visitor, before["name"])).to_be_visible()  # what was known stays on show
            await newcomer.go("/")
            await expect(newcomer.page.get_by_role("main")).to_contain_text("Out of reach for the moment")
            # Battles go on meanwhile.
            await play(visitor, later)
            victim = await create(stack.url, **WEAK, **rich)
            await visitor.go(f"/arena/{victim['player_id']}")
            await page.get_by_role("button", name="Fight").click()
            await expect(page.get_by_role("region", name="Outcome")).to_contain_text("Winner")
            await visitor.go("/")
        await expect(notice).to_be_hidden()
        for window in (visitor, newcomer):
            await expect(row(window, later["name"])).to_be_visible()
            await expect(window.page.get_by_role("main")).not_to_contain_text("Out of reach")
        assert await visitor.evaluate("window.notReloaded")


async def test_a_stopped_player_service_leaves_the_board_readable(visit: Visits, stack: Stack) -> None:
    winner = await create(stack.url, **STRONG)
    await fight(stack.url, winner, await create(stack.url, **WEAK, gold=10**9, silver=10**9))
    async with visit(fails=True) as visitor:
        page = visitor.page
        with stopped(stack, "player"):
            await visitor.go("/")
            await expect(page.locator(".board-card tbody tr").first).to_contain_text("somebody")
            await visitor.go(f"/player/{winner['player_id']}")
            await expect(page.get_by_role("main")).to_contain_text("The player service does not answer")
            await visitor.go("/new")
            await page.get_by_label("Name").fill("Nobody yet")
            await page.get_by_role("button", name="Create player").click()
            await expect(page.locator(".form-problem")).to_contain_text("The player service does not answer")
        await visitor.go(f"/player/{winner['player_id']}")
        await expect(page.get_by_role("heading", level=1)).to_have_text(winner["name"])


async def test_a_battle_is_seen_to_wait_and_then_to_be_settled(visit: Visits, stack: Stack) -> None:
    player, opponent = await create(stack.url, **STRONG), await create(stack.url, **WEAK)
    async with visit() as visitor:
        page = visitor.page
        await play(visitor, player)
        await visitor.go(f"/arena/{opponent['player_id']}")
        with stopped(stack, "worker-1"):
            await page.get_by_role("button", name="Fight").click()
            await expect(page.get_by_role("main")).to_contain_text("Waiting for its turn")
            await expect(page.locator(".chip")).to_have_text("Queued")
        await expect(page.locator(".chip")).to_have_text("Settled")
        await expect(page.get_by_role("region", name="Outcome")).to_contain_text("Winner")
        assert "against" in await page.title()


async def test_a_stopped_gateway_is_told_and_comes_back_by_itself(visit: Visits, stack: Stack) -> None:
    async with visit(fails=True) as visitor:
        page = visitor.page
        await visitor.go("/")
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        with stopped(stack, "gateway"):
            await expect(page.locator("#notice")).to_contain_text("The gateway can't be reached")
        await expect(page.locator("#notice")).to_be_hidden()
        assert re.search(r"gateway up", await page.locator("#health").inner_text(), re.IGNORECASE)
        await until(lambda: visitor.evaluate("document.querySelectorAll('.state-trouble').length === 0"))
