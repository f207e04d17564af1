"""The page in a real browser, in front of the whole set of processes.

Every window that these tests open fails them when anything is told on its console as an error, a violated content
policy included, when an exception is uncaught, or when an answer is an error that the test did not provoke.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

from playwright.async_api import Locator, Route, expect

from tests.browser import chromium
from tests.browser.chromium import Visit
from tests.browser.conftest import Visits
from tests.browser.people import STRONG, WEAK, count_battles, create, fight, new_name
from tests.e2e.stack import Stack

STREAMS = "**/*:watch*"
NOTE_GLIDES = """
window.glided = [];
new MutationObserver((changes) => {
    for (const { target: row } of changes)
        if (row.classList.contains('rising') && row.getAnimations().length) window.glided.push(row.textContent);
}).observe(document.querySelector('.board-card'), { subtree: true, attributeFilter: ['class'] });
"""
"""Notes which rows are set in motion upwards."""
STICKS_OUT = """
Array.from(document.querySelectorAll('main *, header *, footer *'))
    .filter((element) => !element.closest('.unseen, svg, .name, .blow'))
    .map((element) => [element.getBoundingClientRect(), element.outerHTML.slice(0, 120)])
    .filter(([box]) => box.width > 1 && (box.right > screen.width + 1 || box.left < -1))
    .map(([, markup]) => markup)
"""
"""What lies outside of the window."""
BROKEN_WORDS = """
Array.from(document.querySelectorAll('.facts, .purse, .history, .ledger'), (part) => {
    const texts = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
    const broken = [];
    while (texts.nextNode()) {
        for (const { 0: word, index } of texts.currentNode.data.matchAll(/\\S+/g)) {
            const range = new Range();
            range.setStart(texts.currentNode, index);
            range.setEnd(texts.currentNode, index + word.length);
            if (new Set(Array.from(range.getClientRects(), (box) => box.top)).size > 1) broken.push(word);
        }
    }
    return broken;
}).flat()
"""
"""Words and numbers that go on in another line."""


async def create_through_page(visitor: Visit, name: str, **numbers: int) -> None:
    """Creates a player through the form, and waits for its page."""
    page = visitor.page
    await visitor.go("/new")
    await page.get_by_label("Name").fill(name)
    labels = {"attack": "Attack", "hit_points": "Hit points", "luck": "Luck", "gold": "Gold", "silver": "Silver"}
    for key, value in numbers.items():
        await page.get_by_label(labels[key]).fill(str(value))
    await page.get_by_role("button", name="Create player").click()
    await expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()


async def play(visitor: Visit, player: Any) -> None:
    """Lets the window's browser play somebody."""
    await visitor.go(f"/player/{player['player_id']}")
    await visitor.page.get_by_role("button", name="Play as").click()
    await expect(visitor.page.get_by_role("button", name="Stop playing")).to_be_visible()


async def pick_and_fight(visitor: Visit, name: str) -> None:
    """Goes to the arena, picks an opponent by name, and fights."""
    page = visitor.page
    await page.get_by_role("link", name="Arena").click()
    await page.get_by_role("combobox", name="Opponent").fill(name)
    await page.get_by_role("option", name=name).click()
    await page.get_by_role("button", name="Fight").click()


def row(visitor: Visit, name: str) -> Locator:
    """The row of a player on the board."""
    return visitor.page.locator(".board-card tbody tr").filter(has_text=name)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Waits until a condition is true."""
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.05)


async def test_two_players_are_created_and_fight_and_every_board_moves_without_a_reload(visit: Visits) -> None:
    winner, loser = new_name("Winner"), new_name("Loser")
    async with visit() as visitor, visit() as onlooker:
        await onlooker.go("/board/daily")
        await onlooker.evaluate("window.notReloaded = true")
        await create_through_page(visitor, loser, **WEAK, gold=10_000_000, silver=0)
        await create_through_page(visitor, winner, **STRONG)
        await pick_and_fight(visitor, loser)

        page = visitor.page
        await expect(page.get_by_role("heading", level=1)).to_have_text(f"{winner}against{loser}")
        await expect(page.locator(".chip")).to_have_text("Settled")
        await expect(page.get_by_text(f"{winner} hits for 1; {loser} has 0 left")).to_be_visible()
        outcome = page.get_by_role("region", name="Outcome")
        await expect(outcome).to_contain_text(f"Winner{winner}")
        loot = int((await outcome.locator("dd.gold").inner_text()).replace(",", ""))
        assert 1_000_000 <= loot <= 2_000_000

        await expect(row(onlooker, winner)).to_contain_text(f"{loot:,}")
        for board in ("all", "daily", "weekly", "monthly"):
            await visitor.go(f"/board/{board}")
            await expect(row(visitor, winner)).to_contain_text(f"{loot:,}")
            await expect(page.locator(".around .mine")).to_contain_text(winner)
        assert await onlooker.evaluate("window.notReloaded")


async def test_a_row_that_rises_is_seen_to_rise(visitor: Visit, stack: Stack) -> None:
    first, second, victim = [
        await create(stack.url, **values) for values in (STRONG, STRONG, WEAK | {"gold": 90_000_000, "silver": 0})
    ]
    await fight(stack.url, first, victim)
    await visitor.go("/")
    await expect(row(visitor, first["name"])).to_be_visible()
    await fight(stack.url, second, await create(stack.url, **WEAK, gold=500_000_000, silver=500_000_000))
    risen = row(visitor, second["name"])
    await expect(risen).to_be_visible()
    await expect(row(visitor, first["name"]).locator(".delta-down")).to_contain_text("down 1 place")
    await visitor.evaluate(NOTE_GLIDES)
    await fight(stack.url, first, await create(stack.url, **WEAK, gold=1_000_000_000, silver=1_000_000_000))
    await expect(row(visitor, first["name"]).locator(".delta-up")).to_contain_text("up 1 place")
    assert first["name"] in await visitor.evaluate("window.glided.join()")


async def test_the_replay_can_be_paused_stepped_and_sought(visitor: Visit, stack: Stack) -> None:
    tough = {"attack": 30, "hit_points": 100, "luck": 0}
    battle = await fight(stack.url, await create(stack.url, **tough), await create(stack.url, **tough))
    page = visitor.page
    await visitor.go(f"/battle/{battle['battle_id']}")
    await page.get_by_role("button", name="Pause").click()
    await page.get_by_role("button", name="To the beginning").click()
    counter, slider = page.locator(".turn-counter"), page.get_by_role("slider", name="Turn")
    await expect(counter).to_contain_text("Turn 0 of")
    await page.get_by_role("button", name="One turn on").click()
    await expect(counter).to_contain_text("Turn 1 of")
    await expect(page.get_by_role("meter").nth(1)).to_have_attribute("aria-valuetext", "70 of 100")
    await page.get_by_role("button", name="One turn back").click()
    await expect(page.get_by_role("meter").nth(1)).to_have_attribute("aria-valuetext", "100 of 100")
    await expect(page.get_by_role("region", name="Outcome")).not_to_contain_text("Winner")
    await slider.fill("3")
    await expect(counter).to_contain_text("Turn 3 of")
    await page.locator(".speed").last.click()
    await page.get_by_role("button", name="Play", exact=True).click()
    await expect(page.get_by_role("region", name="Outcome")).to_contain_text("Winner")
    await expect(page.get_by_role("meter").nth(1)).to_have_attribute("aria-valuetext", "0 of 100")
    await page.get_by_role("button", name="Verify").click()
    await expect(page.get_by_role("button", name="Verified")).to_be_visible()


async def test_a_shared_link_shows_the_battle_to_somebody_else(visit: Visits, stack: Stack) -> None:
    battle = await fight(stack.url, await create(stack.url, **STRONG), await create(stack.url, **WEAK))
    async with visit(permissions=["clipboard-read", "clipboard-write"]) as visitor, visit() as friend:
        await visitor.go(f"/battle/{battle['battle_id']}")
        await visitor.page.get_by_role("button", name="Copy link").click()
        await expect(visitor.page.get_by_role("button", name="Link copied")).to_be_visible()
        await friend.page.goto(await visitor.evaluate("navigator.clipboard.readText()"))
        await expect(friend.page.get_by_role("region", name="Outcome")).to_contain_text("Winner")


async def test_a_players_page_shows_balances_ledger_and_battles_as_they_change(visitor: Visit, stack: Stack) -> None:
    player = await create(stack.url, **STRONG, gold=5, silver=7, description="Says little.")
    page = visitor.page
    await visitor.go(f"/player/{player['player_id']}")
    await expect(page.get_by_text("Says little.")).to_be_visible()
    await expect(page.locator(".fact-gold dd")).to_have_text("5")
    await expect(page.locator(".ledger li")).to_have_count(1)
    await expect(page.get_by_text("No battles yet")).to_be_visible()
    await fight(stack.url, player, await create(stack.url, **WEAK, gold=10, silver=0))
    await expect(page.locator(".history li")).to_contain_text("won")
    await expect(page.locator(".ledger li")).to_have_count(2)
    await expect(page.locator(".ledger li").first).to_contain_text("Battle 1")
    await expect(page.locator(".fact-gold dd")).to_have_text("6")


async def test_nothing_is_submitted_twice_by_a_double_click_or_a_lost_answer(visit: Visits, stack: Stack) -> None:
    player, opponent = await create(stack.url, **STRONG), await create(stack.url, **WEAK)
    lost: list[str | None] = []

    async def lose_the_first_answer(route: Route) -> None:
        if route.request.method == "POST" and not lost:
            await route.fetch()  # it arrives and takes effect
            lost.append(route.request.post_data)
            await route.abort()
        else:
            lost.append(route.request.post_data)
            await route.continue_()

    async with visit(fails=True) as visitor:
        await play(visitor, player)
        await visitor.page.route("**/v1/battles", lose_the_first_answer)
        await visitor.go(f"/arena/{opponent['player_id']}")
        await visitor.page.get_by_role("button", name="Fight").dblclick()
        await expect(visitor.page.get_by_role("region", name="Outcome")).to_contain_text("Winner")
    assert len(lost) == 2
    assert lost[0] == lost[1]  # the request_id included
    assert await count_battles(stack.url, player) == 1


async def test_what_is_wrong_is_said_while_it_is_typed(visitor: Visit, stack: Stack) -> None:
    taken = await create(stack.url)
    page = visitor.page
    await visitor.go("/new")
    name, problem = page.get_by_label("Name"), page.locator("#field-name-problem")
    for text, told in {
        "x" * 21: "At most 20 characters, not 21.",
        " x": "No spaces at either end.",
        "a\u202eb": "No control or invisible characters.",
        "": "A name is needed.",
        taken["name"]: "This name is taken.",
        new_name(): "This name is free.",
    }.items():
        await name.fill(text)
        await expect(problem).to_have_text(told)
    await page.get_by_label("Luck").fill("91")
    await expect(page.locator("#field-luck-problem")).to_have_text("A whole number from 0 to 90.")
    await page.get_by_role("button", name="Create player").click()
    await expect(page.get_by_label("Luck")).to_be_focused()


async def test_violations_that_only_the_server_finds_are_shown_at_their_fields(visit: Visits) -> None:
    async def spoil(route: Route) -> None:
        body: dict[str, Any] = json.loads(route.request.post_data or "")
        await route.continue_(post_data=body | {"luck": 91, "attack": 0})

    async with visit(fails=True) as visitor:
        page = visitor.page
        await page.route("**/v1/players", spoil)
        await visitor.go("/new")
        await page.get_by_label("Name").fill(new_name())
        await page.get_by_role("button", name="Create player").click()
        await expect(page.locator("#field-luck-problem")).to_have_text("It must be 0 to 90, not 91.")
        await expect(page.locator("#field-attack-problem")).to_have_text("It must be 1 to 10,000, not 0.")
        await expect(page.get_by_label("Attack")).to_be_focused()


async def test_a_deleted_players_name_stays_taken_and_the_form_says_so(visit: Visits, stack: Stack) -> None:
    taken = await create(stack.url)
    async with visit(fails=True) as visitor:
        page = visitor.page
        await page.route("**/v1/players?*", lambda route: route.abort())  # who types fast is not told before
        await visitor.go("/new")
        await page.get_by_label("Name").fill(taken["name"])
        await page.get_by_role("button", name="Create player").click()
        await expect(page.locator("#field-name-problem")).to_have_text("This name is taken.")


async def test_everything_can_be_done_with_the_keyboard_alone(visitor: Visit, stack: Stack) -> None:
    opponent = await create(stack.url, name=new_name("Quill"), **WEAK)
    page, name = visitor.page, new_name("Keys")
    keys = page.keyboard

    async def tab_to(target: Locator) -> None:
        for _ in range(60):
            if await target.count() and await target.evaluate("element => element === document.activeElement"):
                outline = await target.evaluate("element => getComputedStyle(element).outlineStyle")
                assert outline == "solid"  # one sees where one is
                return
            await keys.press("Tab")
        raise AssertionError(f"the Tab key does not lead to {target}")

    await visitor.go("/")
    await keys.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await keys.press("Enter")
    await expect(page.get_by_role("main")).to_be_focused()
    await tab_to(page.get_by_role("main").get_by_role("link", name="Create a player"))
    await keys.press("Enter")
    await tab_to(page.get_by_label("Name"))
    await keys.type(name)
    await tab_to(page.get_by_label("Attack"))
    await keys.type("10000")
    await keys.press("Enter")
    await expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()

    await tab_to(page.get_by_role("link", name="Pick a fight"))
    await keys.press("Enter")
    combobox = page.get_by_role("combobox", name="Opponent")
    await tab_to(combobox)
    await keys.type("quill")
    option = page.get_by_role("option", name=opponent["name"])
    await expect(option).to_be_visible()
    while await option.get_attribute("aria-selected") != "true":
        await keys.press("ArrowDown")
    assert await combobox.get_attribute("aria-activedescendant") == await option.get_attribute("id")
    await keys.press("Enter")
    await expect(combobox).to_have_value(opponent["name"])
    await expect(combobox).to_have_attribute("aria-expanded", "false")
    await tab_to(page.get_by_role("button", name="Fight"))
    await keys.press("Enter")

    await expect(page.get_by_role("region", name="Outcome")).to_contain_text("Winner")
    await expect(page.get_by_role("main")).to_be_focused()
    await tab_to(page.get_by_role("button", name="Play again"))
    await keys.press("ArrowLeft")
    await expect(page.locator(".turn-counter")).to_have_text("Turn 0 of 1")
    await keys.press("End")
    await expect(page.locator(".turn-counter")).to_have_text("Turn 1 of 1")
    await expect(page.locator("#announcer")).to_contain_text(f"{name} wins")


async def test_hostile_names_and_descriptions_are_text_and_run_nothing(visitor: Visit, stack: Stack) -> None:
    names = ["<svg onload=alert()>", "<img src=x onerror=1", "</script><b>bold</b>", "אבג דהו", "\"'><i>&amp;"]
    markup = '<img src=x onerror="window.ran = true"><script>window.ran = true</script>\u202eright to left'
    players = [await create(stack.url, name=name, **STRONG, description=markup) for name in names]
    rich = {"gold": 1_000_000_000, "silver": 1_000_000_000}
    page = visitor.page
    for player in players:
        battle = await fight(stack.url, player, await create(stack.url, **WEAK, **rich))
        name = player["name"]
        await visitor.go("/")
        await expect(row(visitor, name).locator("bdi")).to_have_text(name)
        await visitor.go(f"/player/{player['player_id']}")
        await expect(page.get_by_role("heading", level=1)).to_have_text(name)
        await expect(page.locator(".description")).to_have_text(markup)
        await page.get_by_role("button", name="Play as").click()
        await visitor.go(f"/battle/{battle['battle_id']}")
        await expect(page.get_by_role("region", name="Outcome").locator(".result-name")).to_have_text(name)
        await visitor.go("/arena")
        await expect(page.locator(".side-challenger .side-name")).to_have_text(name)
        await visitor.go("/new")
        await page.get_by_label("Name").fill(name)
        await expect(page.locator("#field-name-problem")).to_have_text("This name is taken.")
        assert await visitor.evaluate("document.title.length > 0 && window.ran === undefined")
        # All images are the page's own emblem; no element came out of a name.
        assert (
            await visitor.evaluate("document.querySelectorAll('main img, main script, main b b, main i').length") == 0
        )
    await visitor.go("/arena")
    await page.get_by_role("combobox", name="Opponent").fill("<")
    await expect(page.get_by_role("option", name=names[0])).to_be_visible()


async def test_a_browser_without_streams_asks_again_and_again(visit: Visits, stack: Stack) -> None:
    async with visit(fails=True) as visitor:
        await visitor.page.route(STREAMS, lambda route: route.abort())
        await visitor.go("/")
        winner = await create(stack.url, **STRONG)
        battle = await fight(stack.url, winner, await create(stack.url, **WEAK, gold=10**9, silver=10**9))
        await expect(row(visitor, winner["name"])).to_be_visible()
        await visitor.go(f"/battle/{battle['battle_id']}")
        await expect(visitor.page.get_by_role("region", name="Outcome")).to_contain_text("Winner")


async def test_the_board_is_pushed_and_not_asked_for_and_only_while_somebody_looks(
    visitor: Visit, stack: Stack
) -> None:
    asked: list[str] = []
    page = visitor.page
    page.on("request", lambda request: asked.append(request.url))
    await visitor.go("/")
    for _ in range(2):
        winner = await create(stack.url, **STRONG)
        await fight(stack.url, winner, await create(stack.url, **WEAK, gold=10**9, silver=10**9))
        await expect(row(visitor, winner["name"])).to_be_visible()
    assert sum("/leaderboards/all/entries:watch" in url for url in asked) == 1
    assert not any(url.partition("?")[0].endswith("/leaderboards/all/entries") for url in asked)

    # A browser opens six connections to a server, over all of its tabs: a hidden one must hold none.
    async def hide(hidden: bool) -> None:
        await visitor.evaluate(
            f"Object.defineProperty(document, 'hidden', {{value: {json.dumps(hidden)}, writable: true}})"
        )
        await visitor.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    async with page.expect_event("requestfailed", lambda request: "entries:watch" in request.url):
        await hide(True)
    async with page.expect_request("**/entries:watch*"):
        await hide(False)


async def test_a_thousand_turns_end_in_a_draw_and_can_be_replayed(visitor: Visit, stack: Stack) -> None:
    evasive = {"attack": 1, "hit_points": 10_000, "luck": 90}
    battle = await fight(stack.url, await create(stack.url, **evasive), await create(stack.url, **evasive))
    page = visitor.page
    await visitor.go(f"/battle/{battle['battle_id']}")
    await page.get_by_role("button", name="Skip to the end").click()
    await expect(page.get_by_role("region", name="Outcome")).to_contain_text("A draw")
    await expect(page.locator(".turn-counter")).to_have_text("Turn 1,000 of 1,000")
    await expect(page.locator(".turn").last).to_be_in_viewport()
    await page.get_by_role("slider", name="Turn").fill("500")
    await expect(page.locator(".turn[aria-current]")).to_contain_text("500")


async def test_the_boards_before_and_after_are_named_as_the_calendar_does(visitor: Visit) -> None:
    await visitor.go("/")
    dice = random.Random(2026)
    days = [date(2019, 1, 1) + timedelta(days=dice.randrange(6000)) for _ in range(200)]
    days += [date(year, month, day) for year in range(2015, 2033) for month, day in ((1, 1), (12, 31))]
    now = "2040-06-01T00:00:00Z"
    for day in days:
        week, next_week, month = (day + timedelta(weeks=n) for n in (0, 1, 0))
        after = {
            f"daily@{day}": f"daily@{day + timedelta(days=1)}",
            f"weekly@{week:%G-W%V}": f"weekly@{next_week:%G-W%V}",
            f"monthly@{month:%Y-%m}": f"monthly@{month.replace(day=1) + timedelta(days=31):%Y-%m}",
        }
        script = f"""import('/assets/periods.js').then(({{ period }}) => {json.dumps(list(after))}
            .map((board) => [period(board, new Date('{now}')).after, period(board, new Date('{now}'))])
            .map(([next]) => [next, period(next, new Date('{now}')).before]))"""
        assert await visitor.evaluate(script) == [[following, board] for board, following in after.items()]


async def test_with_reduced_motion_nothing_moves_and_the_outcome_is_there_at_once(visit: Visits, stack: Stack) -> None:
    battle = await fight(stack.url, await create(stack.url, **STRONG), await create(stack.url, **WEAK))
    async with visit(reduced_motion="reduce") as visitor:
        page = visitor.page
        await visitor.go(f"/battle/{battle['battle_id']}")
        await expect(page.get_by_role("region", name="Outcome")).to_contain_text("Winner")
        await page.get_by_role("button", name="To the beginning").click()
        await page.get_by_role("button", name="One turn on").click()
        await expect(page.get_by_role("meter").nth(1)).to_have_attribute("aria-valuetext", "0 of 1")
        assert await visitor.evaluate("document.getAnimations().length") == 0
        await visitor.go("/")
        await expect(page.locator(".board-card tbody tr").first).to_be_visible()
        assert await visitor.evaluate("document.getAnimations().length") == 0


async def test_a_small_phone_shows_every_view_without_scrolling_sideways(
    phone: Callable[..., Any], stack: Stack
) -> None:
    most = 1_000_000_000
    wide = [
        await create(stack.url, name=new_name("W" * 11)[:20], **STRONG, gold=most, silver=most, description="W" * 1000)
    ]
    wide.append(await create(stack.url, name=new_name("M" * 11)[:20], **WEAK, gold=most, silver=most))
    wide.append(await create(stack.url, name=new_name("m" * 11)[:20], **STRONG, gold=0, silver=0))
    battle = await fight(stack.url, wide[2], wide[1])
    async with phone() as visitor:
        page = visitor.page

        async def fits() -> None:
            await expect(page.locator(".skeleton")).to_have_count(0)
            # Nothing is cut off at the edge either, where a parent hides what sticks out.
            assert await visitor.evaluate(STICKS_OUT) == []
            assert await visitor.evaluate("document.documentElement.scrollWidth") == chromium.PHONE["width"]

        await play(visitor, wide[2])
        await fits()
        for path in ("/", "/board/daily", "/new", f"/arena/{wide[0]['player_id']}", f"/player/{wide[0]['player_id']}"):
            await visitor.go(path)
            await expect(page.get_by_role("heading", level=1)).to_be_visible()
            await fits()
        await visitor.go(f"/battle/{battle['battle_id']}")
        await expect(page.get_by_role("region", name="Outcome")).to_contain_text("Winner")
        await fits()


async def test_on_a_phone_names_and_large_numbers_stay_whole(phone: Callable[..., Any], stack: Stack) -> None:
    purse = {"gold": 900_000_000, "silver": 900_000_000}
    mine, other = [await create(stack.url, name=new_name(stem), **STRONG, **purse) for stem in ("Corvane", "Isolde")]
    await fight(stack.url, other, mine)
    async with phone() as visitor:
        page = visitor.page
        await play(visitor, mine)
        await expect(page.locator("header").get_by_role("link", name=mine["name"])).to_have_count(1)
        await expect(page.locator(".history-loot")).to_contain_text(",")
        await expect(page.locator(".ledger li")).to_have_count(2)
        await expect(page.locator(".history-who")).to_have_text(f"challenged by {other['name']}", use_inner_text=True)
        assert await visitor.evaluate(BROKEN_WORDS) == []
        await visitor.go(f"/arena/{other['player_id']}")
        await expect(page.locator(".facts")).to_have_count(2)
        assert await visitor.evaluate(BROKEN_WORDS) == []


async def test_dark_mode_is_dark_and_light_mode_is_light(visit: Visits) -> None:
    grounds = {}
    for scheme in ("dark", "light"):
        async with visit(color_scheme=scheme) as visitor:
            await visitor.go("/")
            await expect(visitor.page.get_by_role("heading", level=1)).to_be_visible()
            color = await visitor.evaluate("getComputedStyle(document.body).backgroundColor")
            grounds[scheme] = sum(map(int, color.removeprefix("rgb(").removesuffix(")").split(",")))
            assert len(await visitor.page.screenshot()) > 10_000
    assert grounds["dark"] < 100 < 600 < grounds["light"]


async def test_where_nothing_is_the_page_says_so(visit: Visits) -> None:
    nobody = "00000000-0000-7000-8000-000000000000"
    async with visit(fails=True) as visitor:
        for path, told in {
            "/board/daily@2020-01-01": "Nobody took anything",
            "/board/nonsense": "No such board",
            "/nowhere": "This address leads nowhere",
            f"/battle/{nobody}": "No such battle",
            f"/player/{nobody}": "Nobody is here",
            f"/arena/{nobody}": "Nobody is there",
        }.items():
            await visitor.go(path)
            await expect(visitor.page.get_by_role("main")).to_contain_text(told)
