// The beginning: routes, the head of the page and the health strip.

import { arenaView } from "./arena.js";
import { arms } from "./arms.js";
import { battleView } from "./battle.js";
import { boardView } from "./board.js";
import { createView } from "./create.js";
import { h, put, title, unseen } from "./dom.js";
import { keepTimes } from "./format.js";
import { showHealth } from "./health.js";
import { me, onMeChange } from "./me.js";
import { playerView } from "./player.js";
import { route } from "./router.js";
import { empty } from "./states.js";

const ID = "([0-9a-f-]{36})";
const ROUTES = [
  [/^\/$/, boardView],
  [/^\/board\/([^/]+)$/, boardView],
  [/^\/arena$/, arenaView],
  [new RegExp(`^/arena/${ID}$`), arenaView],
  [new RegExp(`^/battle/${ID}$`), battleView],
  [new RegExp(`^/player/${ID}$`), playerView],
  [/^\/new$/, createView],
  [/^/, lostView],
];

function lostView(root) {
  title("Nothing here");
  const home = h("a", { class: "button", href: "#/" }, "To the standings");
  put(root, h("section", { class: "card" }, empty("shield", "Nothing here", "This address leads nowhere.", home)));
}

function showMe() {
  const own = me();
  const chip = own
    ? h(
        "a",
        { class: "me", href: `#/player/${own.player_id}` },
        arms(own.name),
        unseen("Your player: "),
        h("bdi", { class: "name" }, own.name),
      )
    : h("a", { class: "button button-small", href: "#/new" }, "Create", h("span", { class: "wide-only" }, "a player"));
  put(document.getElementById("me"), chip);
}

function markCurrent(path) {
  for (const link of document.querySelectorAll("#nav a")) {
    const here = link.dataset.for.split(" ").some((begin) => path === begin || path.startsWith(`${begin}/`));
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

// The hash names views here, so this link can't be left to the browser.
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});
onMeChange(showMe);
showMe();
keepTimes();
showHealth(document.getElementById("health"), document.getElementById("notice"));
route(document.getElementById("main"), ROUTES, markCurrent);
