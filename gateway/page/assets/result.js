// What came of a battle: who won, what moved, and how anybody can check it.

import { get } from "./api.js";
import { announce, h, icon, put } from "./dom.js";
import { number, share } from "./format.js";
import { me } from "./me.js";
import { armsOf, nameText } from "./players.js";
import { explain } from "./states.js";

/** Returns the children of the outcome's card. */
export function result(battle, report, signal) {
  const winner = battle.winner_id;
  const { loot } = report;
  return [
    h(
      "div",
      { class: "result-head" },
      winner ? armsOf(winner) : icon("shield"),
      h(
        "div",
        {},
        h("p", { class: "eyebrow" }, winner ? "Winner" : "Nobody won"),
        h("p", { class: "result-name" }, winner ? nameText(winner) : "A draw"),
      ),
    ),
    winner
      ? h("dl", { class: "loot" }, coin("gold", battle.gold_stolen), coin("silver", battle.silver_stolen))
      : h("p", { class: "quiet" }, `After ${number(report.turns.length)} turns both still stand. Nothing moved.`),
    loot && h("p", { class: "quiet" }, `${share(loot.share_basis_points)} of what the loser owned, as drawn.`),
    h("p", { class: "result-actions" }, rematch(battle), copyButton(), verifyButton(battle, signal)),
    h("p", { class: "quiet seed" }, "Seed ", h("code", {}, report.seed), `, rules version ${report.rules_version}`),
  ];
}

const coin = (metal, amount) =>
  h("div", {}, h("dt", {}, icon("coin"), metal), h("dd", { class: metal }, number(amount)));

function rematch(battle) {
  const own = me()?.player_id;
  const other = own === battle.challenger_id ? battle.opponent_id : own === battle.opponent_id && battle.challenger_id;
  return other && h("a", { class: "button button-primary", href: `#/arena/${other}` }, icon("swords"), "Fight again");
}

function copyButton() {
  const text = h("span", {}, "Copy link");
  async function copy() {
    try {
      await navigator.clipboard.writeText(location.href);
      put(text, "Link copied");
      announce("The link is copied.");
    } catch {
      put(text, "Copy it from the address bar"); // no permission, or a page over plain HTTP
    }
  }
  return h("button", { class: "button", onclick: copy }, icon("link"), text);
}

function verifyButton(battle, signal) {
  const text = h("span", {}, "Verify");
  const about = { title: "Fight it again from its seed and compare", onclick: verify };
  const button = h("button", { class: "button", ...about }, icon("seal"), text);
  async function verify() {
    button.disabled = true;
    try {
      const answer = await get(`/v1/battles/${battle.battle_id}:verify`, {}, signal);
      put(text, answer.matches ? "Verified" : "It differs");
      announce(answer.matches ? "Fought again from its seed, it went the same." : answer.differences.join(" "));
      button.classList.add(answer.matches ? "good" : "bad");
    } catch (error) {
      if (signal.aborted) return;
      put(text, "Verify");
      announce(explain(error));
      button.disabled = false;
    }
  }
  return button;
}
