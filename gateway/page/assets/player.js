// A player's page: who it is, what it owns, where it stands, how it fought and how every coin came and went.

import { get } from "./api.js";
import { arms } from "./arms.js";
import { h, icon, latest, put, title } from "./dom.js";
import { date, number, ordinal } from "./format.js";
import { history } from "./history.js";
import { ledger } from "./ledger.js";
import { isMe, onMeChange, play } from "./me.js";
import { countTo } from "./motion.js";
import { BOARDS } from "./periods.js";
import { getPlayer } from "./players.js";
import { empty, skeleton, stale, trouble } from "./states.js";
import { watch } from "./stream.js";

const NUMBERS = ["gold", "silver", "resources_stolen", "attack", "hit_points", "luck"];
const PAUSE = 700; // milliseconds between two looks, however many battles end in between

export function playerView(root, signal, id) {
  title("Player");
  const notice = h("div");
  const head = h("section", { class: "card player-card" }, skeleton(4));
  const purse = new Purse();
  const places = h("ul", { class: "places" });
  const battles = history(id, signal);
  const entries = ledger(id, signal);
  const below = h(
    "div",
    { class: "player-grid" },
    card("history-heading", "Battles", battles.element),
    card("ledger-heading", "Ledger", entries.element),
  );
  let player = null;
  let time = null; // when it was looked at

  async function look() {
    try {
      const now = await getPlayer(id, signal);
      if (!now) return put(root, h("section", { class: "card" }, nobody()));
      if (!player) {
        title(now.name);
        put(head, who(now, signal), purse.element, places);
      }
      player = now;
      time = new Date();
      put(notice);
      purse.show(now);
    } catch (error) {
      if (signal.aborted) return;
      if (player) put(notice, stale(time));
      else put(head, trouble(error));
    }
    await Promise.all([battles.refresh(), entries.refresh(), showPlaces(places, id, signal)]);
  }

  const lookSoon = latest(async () => {
    await look();
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  });

  put(root, notice, head, below);
  lookSoon();
  watch(`/v1/battles:watch?player_id=${id}`, { signal, poll: look, onOpen: lookSoon, onMessage: lookSoon });
}

function card(id, heading, content) {
  return h("section", { class: "card", "aria-labelledby": id }, h("h2", { id }, heading), content);
}

function who(player, signal) {
  const actions = h("p", { class: "player-actions" });
  function showActions() {
    const mine = isMe(player.player_id);
    const href = mine ? "#/arena" : `#/arena/${player.player_id}`;
    put(
      actions,
      h("a", { class: "button button-primary", href }, icon("swords"), mine ? "Pick a fight" : "Challenge"),
      h("button", { class: "button", onclick: () => play(mine ? null : player) }, mine ? "Stop playing" : "Play as"),
    );
  }
  showActions();
  onMeChange(showActions, signal);
  return h(
    "div",
    { class: "player-who" },
    arms(player.name),
    h(
      "div",
      {},
      h("h1", {}, h("bdi", { class: "name" }, player.name)),
      player.description && h("p", { class: "description", dir: "auto" }, player.description),
      h("p", { class: "quiet" }, `Here since ${date(player.create_time)}`),
      actions,
    ),
  );
}

/** The balances and strengths; balances count up and down as battles end. */
class Purse {
  #shown = {};
  #numbers = Object.fromEntries(NUMBERS.map((key) => [key, h("dd")]));

  constructor() {
    const fact = (key, label, symbol) =>
      h("div", { class: `fact-${key}` }, h("dt", {}, symbol && icon(symbol), label), this.#numbers[key]);
    this.element = h(
      "dl",
      { class: "purse" },
      fact("gold", "Gold", "coin"),
      fact("silver", "Silver", "coin"),
      fact("resources_stolen", "Taken in battles"),
      fact("attack", "Attack"),
      fact("hit_points", "Hit points"),
      fact("luck", "Luck"),
    );
  }

  show(player) {
    for (const [key, element] of Object.entries(this.#numbers)) {
      const value = Number(player[key]);
      const write = (each) => number(each) + (key === "luck" ? "%" : "");
      countTo(element, this.#shown[key] ?? value, value, write);
      this.#shown[key] = value;
    }
  }
}

async function showPlaces(element, id, signal) {
  const place = async ([board, text]) => {
    const path = `/v1/leaderboards/${board}/entries:batchGet`;
    const answer = await get(path, { player_ids: [id] }, signal).catch(() => null);
    const entry = answer?.entries[0];
    const rank = entry ? ordinal(entry.rank) : answer ? "–" : "?";
    const hint = answer ? (entry ? `${number(entry.score)} taken` : "no place yet") : "out of reach";
    const words = [h("span", {}, text), h("b", {}, rank), h("small", {}, hint)];
    return h("li", {}, h("a", { href: `#/board/${board}` }, words));
  };
  const lines = await Promise.all(BOARDS.map(place));
  if (!signal.aborted) put(element, lines);
}

function nobody() {
  const home = h("a", { class: "button", href: "#/" }, "To the standings");
  return empty("shield", "Nobody is here", "This player has left, or never was. The name stays theirs.", home);
}
