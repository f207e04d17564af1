// The arena: this browser's player on one side, whoever it picks on the other, and a button between them.

import { Intent, post } from "./api.js";
import { arms } from "./arms.js";
import { Combobox } from "./combobox.js";
import { announce, h, icon, put, title } from "./dom.js";
import { compact, number } from "./format.js";
import { isMe, me, onMeChange, play } from "./me.js";
import { findPlayers, getPlayer, nameText } from "./players.js";
import { go } from "./router.js";
import { empty, explain, skeleton, trouble } from "./states.js";

const RULES =
  "The challenger strikes first. The winner takes a tenth to a fifth of the loser's gold and silver.";

/** @param {string} [opponentId] Who is picked already. */
export function arenaView(root, signal, opponentId = "") {
  title("Arena");
  const intent = new Intent();
  const sides = [h("div", { class: "side-card side-challenger" }), h("div", { class: "side-card side-opponent" })];
  const problem = h("p", { class: "form-problem", role: "alert" });
  const button = h("button", { class: "button button-primary button-large", disabled: true }, icon("swords"), "Fight");
  let challenger = null;
  let opponent = null;

  const combobox = new Combobox("opponent", "Opponent", {
    signal,
    search: async (text, asking) => (await findPlayers(text, asking)).filter((player) => !isMe(player.player_id)),
    print: (player) => [arms(player.name), h("bdi", { class: "name" }, player.name), h("small", {}, strengths(player))],
    onPick: pick,
  });

  function pick(player) {
    opponent = player;
    if (combobox.input.value !== player.name) combobox.input.value = player.name;
    put(sides[1], fighter(player, "Opponent"));
    put(problem);
    ready();
  }

  function ready() {
    const same = challenger && challenger.player_id === opponent?.player_id;
    if (same) put(problem, "Nobody fights against themselves. Pick somebody else.");
    button.disabled = !challenger || !opponent || same;
  }

  async function showMe() {
    challenger = null;
    ready();
    const own = me();
    if (!own) return put(sides[0], nobody());
    put(sides[0], skeleton(3));
    try {
      challenger = await getPlayer(own.player_id, signal);
    } catch (error) {
      if (!signal.aborted) put(sides[0], trouble(error, showMe));
      return;
    }
    if (!challenger) return play(null); // deleted, or of another server; this comes back here
    put(sides[0], fighter(challenger, "You"));
    ready();
  }

  async function showOpponent() {
    if (!opponentId) return put(sides[1], empty("shield", "Who shall it be?", "Pick an opponent by name."));
    put(sides[1], skeleton(3));
    try {
      const player = await getPlayer(opponentId, signal);
      if (player) pick(player);
      else put(sides[1], empty("shield", "Nobody is there", "This player has left. Pick another one."));
    } catch (error) {
      if (!signal.aborted) put(sides[1], trouble(error, showOpponent));
    }
  }

  async function fight(event) {
    event.preventDefault();
    if (button.disabled) return;
    put(problem);
    button.disabled = true;
    const values = { challenger_id: challenger.player_id, opponent_id: opponent.player_id };
    try {
      const battle = await post("/v1/battles", { ...values, request_id: intent.id(values) }, signal);
      intent.done();
      announce(`The battle is submitted, as number ${number(battle.sequence)}.`);
      go(`/battle/${battle.battle_id}`);
    } catch (error) {
      if (signal.aborted) return;
      put(problem, explain(error));
      ready();
    }
  }

  put(
    root,
    h("h1", {}, "Arena"),
    h("p", { class: "lead" }, RULES),
    h(
      "form",
      { class: "arena", onsubmit: fight },
      sides[0],
      h("div", { class: "arena-middle" }, icon("bolt"), combobox.element, problem, button),
      sides[1],
    ),
  );
  onMeChange(showMe, signal);
  showMe();
  showOpponent();
}

const strengths = ({ attack, hit_points: hitPoints, luck }) =>
  `${number(attack)} attack · ${number(hitPoints)} HP · ${luck}% luck`;

function fighter(player, role) {
  const fact = (name, value, full = value) => h("div", {}, h("dt", {}, name), h("dd", { title: full }, value));
  return [
    h("p", { class: "eyebrow" }, role),
    arms(player.name),
    h("p", { class: "side-name" }, h("a", { href: `#/player/${player.player_id}` }, nameText(player.player_id))),
    h(
      "dl",
      { class: "facts" },
      fact("Attack", number(player.attack)),
      fact("Hit points", number(player.hit_points)),
      fact("Luck", `${player.luck}%`),
      fact("Gold", compact(player.gold), number(player.gold)),
      fact("Silver", compact(player.silver), number(player.silver)),
    ),
  ];
}

function nobody() {
  const create = h("a", { class: "button button-primary", href: "#/new" }, "Create a player");
  return empty("shield", "Who fights?", "Create a player, or open another one's page and play as them.", create);
}
