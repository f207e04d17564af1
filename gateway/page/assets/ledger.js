// Every change of a player's balances, newest first.

import { get } from "./api.js";
import { h } from "./dom.js";
import { ago, change, number } from "./format.js";
import { Paged } from "./paged.js";
import { empty } from "./states.js";

const PAGE = 12;

export function ledger(id, signal) {
  return new Paged({
    name: "ledger",
    signal,
    async load(page_token) {
      const answer = await get(`/v1/players/${id}/ledgerEntries`, { page_size: PAGE, page_token }, signal);
      return { items: answer.ledger_entries, next: answer.next_page_token };
    },
    // An entry has no id; no two of a player have all of these in common.
    key: (entry) => [entry.kind, entry.battle_id, entry.create_time, entry.gold_balance, entry.silver_balance].join(),
    line,
    empty: () => empty("coin", "An empty ledger", "Every coin that comes or goes is written down here."),
  });
}

function line(entry) {
  return [
    h("span", { class: "ledger-what" }, what(entry), h("small", {}, ago(entry.create_time))),
    amount("gold", entry.gold_change, entry.gold_balance),
    amount("silver", entry.silver_change, entry.silver_balance),
  ];
}

function what(entry) {
  if (entry.kind === "OPENING") return h("span", {}, "Opening balance");
  if (entry.kind === "GRANT") return h("span", { dir: "auto" }, entry.reason || "Grant");
  return h("a", { href: `#/battle/${entry.battle_id}` }, `Battle ${number(entry.battle_number)}`);
}

function amount(metal, changed, balance) {
  const kind = changed > 0 ? "good" : changed < 0 ? "bad" : "quiet";
  return h(
    "span",
    { class: "ledger-amount" },
    h("span", { class: kind }, change(changed)),
    h("small", {}, `${number(balance)} ${metal}`),
  );
}
