// The battles of a player, newest first.

import { get } from "./api.js";
import { h } from "./dom.js";
import { ago, number } from "./format.js";
import { Paged } from "./paged.js";
import { armsOf, learn, nameText } from "./players.js";
import { empty } from "./states.js";

const PAGE = 12;

export function history(id, signal) {
  return new Paged({
    name: "history",
    signal,
    async load(page_token) {
      const answer = await get("/v1/battles", { player_id: id, page_size: PAGE, page_token }, signal);
      await learn(answer.battles.map((battle) => other(battle, id)), signal);
      return { items: answer.battles, next: answer.next_page_token };
    },
    key: (battle) => battle.battle_id,
    line: (battle) => line(battle, id),
    empty: () => empty("swords", "No battles yet", "Each one is kept here, with a replay."),
  });
}

const other = (battle, id) => (battle.challenger_id === id ? battle.opponent_id : battle.challenger_id);

function line(battle, id) {
  const won = battle.winner_id === id;
  const [outcome, kind] = {
    QUEUED: ["queued", "open"],
    VOIDED: ["void", "open"],
    SETTLED: won ? ["won", "good"] : battle.winner_id ? ["lost", "bad"] : ["draw", "open"],
  }[battle.state];
  const before = battle.challenger_id === id ? "against " : "challenged by ";
  const loot = battle.gold_stolen + battle.silver_stolen;
  return h(
    "a",
    { class: "history-link", href: `#/battle/${battle.battle_id}` },
    h("span", { class: `chip chip-${kind}` }, outcome),
    armsOf(other(battle, id)),
    h(
      "span",
      { class: "history-text" },
      h("span", { class: "history-who" }, before, nameText(other(battle, id))),
      h("small", {}, ago(battle.submit_time)),
    ),
    battle.winner_id && h("span", { class: `history-loot ${kind}` }, `${won ? "+" : "−"}${number(loot)}`),
  );
}
