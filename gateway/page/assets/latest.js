// The latest battles of everybody, as they end.

import { get } from "./api.js";
import { every, h, put } from "./dom.js";
import { ago, number } from "./format.js";
import { flip } from "./motion.js";
import { armsOf, learn, nameText } from "./players.js";
import { watch } from "./stream.js";

const MOST = 6;
const BEAT = 700; // milliseconds between two changes, however many battles end in between

/** Returns the card. */
export function latestBattles(signal) {
  const list = h("ul", { class: "feed" });
  const note = h("p", { class: "quiet" });
  const shown = new Map(); // battle id → its line
  let battles = [];
  let changed = false;

  function add(more) {
    const all = new Map([...more, ...battles].map((battle) => [battle.battle_id, battle]));
    battles = [...all.values()].sort((a, b) => b.settle_time.localeCompare(a.settle_time)).slice(0, MOST);
    changed = true;
  }

  async function reload() {
    const answer = await get("/v1/battles", { state: "SETTLED", page_size: MOST }, signal);
    add(answer.battles);
    await show();
  }

  async function show() {
    if (!changed) return;
    changed = false;
    await learn(battles.flatMap((battle) => [battle.challenger_id, battle.opponent_id]), signal);
    if (signal.aborted) return;
    put(note, battles.length === 0 && "No battle has been fought yet.");
    flip(list, () => {
      const lines = battles.map((battle) => shown.get(battle.battle_id) ?? line(battle));
      shown.clear();
      for (const [index, battle] of battles.entries()) shown.set(battle.battle_id, lines[index]);
      put(list, lines);
    });
  }

  const quietly = () => reload().catch(() => {}); // it fails when the view is left, or when a poll follows anyway
  quietly();
  watch("/v1/battles:watch", {
    signal,
    poll: reload,
    onOpen: quietly,
    onMessage: (battle) => battle.state === "SETTLED" && add([battle]),
    onTrouble: () => put(note, battles.length === 0 && "They can't be had just now."),
  });
  every(BEAT, signal, () => show().catch(() => {}));
  return h(
    "section",
    { class: "card", "aria-labelledby": "latest-heading" },
    h("h2", { id: "latest-heading" }, "Latest battles"),
    note,
    list,
  );
}

function line(battle) {
  const { challenger_id: challenger, opponent_id: opponent, winner_id: winner } = battle;
  const loser = winner === challenger ? opponent : challenger;
  const text = winner
    ? [nameText(winner), " beat ", nameText(loser)]
    : [nameText(challenger), " and ", nameText(opponent), " drew"];
  const loot = winner ? `${number(battle.gold_stolen + battle.silver_stolen)} taken` : "nothing moved";
  return h(
    "li",
    {},
    h(
      "a",
      { class: "feed-link", href: `#/battle/${battle.battle_id}` },
      armsOf(winner || challenger),
      h(
        "span",
        { class: "feed-text" },
        h("span", { class: "feed-what" }, text),
        h("small", {}, loot, " · ", ago(battle.settle_time)),
      ),
    ),
  );
}
