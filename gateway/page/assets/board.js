// The standings: one board, live, with this browser's player and the latest battles at its side.

import { get } from "./api.js";
import { arms } from "./arms.js";
import { Around } from "./around.js";
import { announce, every, h, icon, latest, put, title } from "./dom.js";
import { count, duration } from "./format.js";
import { me, onMeChange } from "./me.js";
import { latestBattles } from "./latest.js";
import { BOARDS, period } from "./periods.js";
import { learn } from "./players.js";
import { Standings } from "./standings.js";
import { empty, skeleton, stale, trouble } from "./states.js";
import { watch } from "./stream.js";

const SIZES = [20, 50, 100];

/** @param {string} [board] As the leaderboard names it. */
export function boardView(root, signal, board = "all") {
  const time = period(board);
  title(time ? `Standings, ${time.heading.toLowerCase()}` : "No such board");
  if (!time) {
    const home = h("a", { class: "button", href: "#/" }, "To the standings");
    const nothing = empty("shield", "No such board", `There is no board “${board}”.`, home);
    put(root, h("section", { class: "card" }, nothing));
    return;
  }
  const around = new Around(board, signal);
  const list = new List(board, time, around, signal);
  put(
    root,
    h("div", { class: "board-head" }, heading(time, list, signal), tabs(time.kind)),
    h(
      "div",
      { class: "board-grid" },
      h("section", { class: "card board-card", "aria-label": "Places" }, list.element),
      h("div", { class: "side" }, around.element, latestBattles(signal)),
    ),
  );
  list.follow();
}

function heading(time, list, signal) {
  const left = h("span");
  const show = () => put(left, time.end && ` · ends in ${duration(time.end - Date.now())}`);
  show();
  if (time.end) every(10_000, signal, show);
  const step = (board, symbol, text) =>
    board && h("a", { class: "step", href: `#/board/${board}`, "aria-label": text, title: text }, icon(symbol));
  return h(
    "div",
    {},
    h("p", { class: "eyebrow" }, "Standings"),
    h("h1", {}, time.heading),
    h(
      "p",
      { class: "board-time" },
      step(time.before, "left", "The one before"),
      step(time.after, "right", "The one after"),
      h("span", {}, time.span, left, list.total),
    ),
  );
}

function tabs(kind) {
  const link = ([name, text]) =>
    h("li", {}, h("a", { href: `#/board/${name}`, "aria-current": name === kind && "page" }, text));
  return h("nav", { "aria-label": "Boards" }, h("ul", { class: "tabs" }, BOARDS.map(link)));
}

/** Three shields that wait for their bearers. */
function podium() {
  const place = (rank) => h("div", { "data-rank": rank }, arms(""), h("span", { class: "rank" }, rank));
  return h("div", { class: "podium", "aria-hidden": "true" }, [2, 1, 3].map(place));
}

/** The places of a board, and what stands there when there are none. */
class List {
  #standings;
  #notice = h("div");
  #content = h("div", {}, skeleton(8));
  #more = h("p", { class: "more" });
  #size = 0;
  #following = null;
  #shown = null; // when places were shown last

  constructor(board, time, around, signal) {
    this.#standings = new Standings(`Places of the board “${time.heading}”`);
    this.board = board;
    this.time = time;
    this.around = around;
    this.signal = signal;
    this.total = h("span");
    this.element = h("div", {}, this.#notice, this.#content, this.#more);
    onMeChange(() => this.#standings.mark(), signal);
  }

  /** Follows the top of the board, as many places as are wanted now. */
  follow() {
    this.#following?.abort();
    this.#following = new AbortController();
    const path = `/v1/leaderboards/${encodeURIComponent(this.board)}/entries`;
    const page_size = SIZES[this.#size];
    watch(`${path}:watch?page_size=${page_size}`, {
      signal: AbortSignal.any([this.signal, this.#following.signal]),
      poll: () => get(path, { page_size }, this.signal),
      onMessage: latest((message) => this.#show(message)),
      onTrouble: (error) => this.#showTrouble(error),
    });
  }

  async #show({ entries, total_size: total }) {
    const ids = entries.map((entry) => entry.player_id);
    await learn(ids, this.signal).catch(() => {}); // it fails when the view is left
    if (this.signal.aborted) return;
    put(this.#notice);
    put(this.total, Number(total) > 0 && ` · ${count(total, "player")}`);
    if (entries.length) {
      if (!this.#shown) put(this.#content, this.#standings.element);
      this.#standings.show(entries);
    } else {
      put(this.#content, this.#nobody());
    }
    this.#shown = entries.length > 0 ? new Date() : null;
    const all = entries.length >= Number(total) || this.#size === SIZES.length - 1;
    const more = h("button", { class: "button button-quiet", onclick: () => this.#showMore() }, "Show more");
    put(this.#more, !all && more);
    this.around.refresh();
  }

  #showMore() {
    this.#size += 1;
    announce(`Showing up to ${SIZES[this.#size]} places.`);
    this.follow();
  }

  #nobody() {
    if (this.board.includes("@")) {
      return empty("shield", "Nobody took anything", "No battle of this time was won with loot.");
    }
    const [path, action] = me() ? ["/arena", "Pick a fight"] : ["/new", "Create a player"];
    const begin = h("a", { class: "button button-primary", href: `#${path}` }, action);
    const text = "Whoever wins the first battle stands here, with all the gold and silver it brought.";
    const heading = this.board === "all" ? "The field is empty" : "Nobody has won yet";
    return [podium(), empty(null, heading, text, begin)];
  }

  #showTrouble(error) {
    // What was shown stays, as old as it is: it is worth more than an empty card.
    if (this.#shown) put(this.#notice, stale(this.#shown));
    else put(this.#content, trouble(error));
  }
}
