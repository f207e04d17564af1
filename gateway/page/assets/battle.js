// One battle: waiting for its turn, then replayed from its report.

import { get } from "./api.js";
import { announce, h, icon, latest, put, title } from "./dom.js";
import { ago, number } from "./format.js";
import { moves } from "./motion.js";
import { armsOf, learn, nameOf, nameText } from "./players.js";
import { Replay } from "./replay.js";
import { empty, skeleton, stale, trouble } from "./states.js";
import { watch } from "./stream.js";

export function battleView(root, signal, id) {
  title("Battle");
  const path = `/v1/battles/${id}`;
  const head = h("div", { class: "battle-head" }, h("h1", {}, "Battle"));
  const notice = h("div");
  const content = h("div", {}, h("div", { class: "card" }, skeleton(5)));
  let shown = null; // the state on show
  let time = null; // since when

  async function show(battle) {
    await learn([battle.challenger_id, battle.opponent_id], signal).catch(() => {}); // it fails when the view is left
    if (signal.aborted) return;
    time = new Date();
    put(notice);
    put(head, heading(battle));
    title(`${nameOf(battle.challenger_id)} against ${nameOf(battle.opponent_id)}`);
    if (battle.state === shown) return;
    const waited = shown === "QUEUED";
    shown = battle.state;
    if (battle.state === "QUEUED") put(content, queued(battle));
    else if (battle.state === "VOIDED") put(content, voided(battle));
    else await replay(battle, waited);
  }

  async function replay(battle, waited) {
    try {
      const report = await get(`${path}/report`, {}, signal);
      if (waited) announce("The battle is settled. Here is how it went.");
      const played = new Replay(battle, report, signal);
      put(content, played.element);
      if (moves()) played.play();
      else played.seek(Infinity);
    } catch (error) {
      if (!signal.aborted) put(content, h("div", { class: "card" }, trouble(error, () => replay(battle, waited))));
    }
  }

  put(root, head, notice, content);
  watch(`${path}:watch`, {
    signal,
    poll: () => get(path, {}, signal),
    isLast: (battle) => battle.state !== "QUEUED",
    onMessage: latest(show),
    onTrouble: (error) => {
      if (error.status === "NOT_FOUND" && !shown) put(content, h("div", { class: "card" }, unknown()));
      else if (shown) put(notice, stale(time));
      else put(content, h("div", { class: "card" }, trouble(error)));
    },
  });
}

function heading(battle) {
  const state = { QUEUED: "Queued", SETTLED: "Settled", VOIDED: "Voided" }[battle.state];
  return [
    h(
      "p",
      { class: "eyebrow" },
      `Battle No. ${number(battle.sequence)}`,
      h("span", { class: `chip chip-${battle.state.toLowerCase()}` }, state),
      ago(battle.settle_time ?? battle.submit_time),
    ),
    h(
      "h1",
      { class: "battle-title" },
      link(battle.challenger_id),
      h("span", { class: "versus" }, "against"),
      link(battle.opponent_id),
    ),
  ];
}

const link = (id) => h("a", { href: `#/player/${id}` }, nameText(id));

function queued(battle) {
  return h(
    "div",
    { class: "card queued", role: "status" },
    h("div", { class: "queued-arms" }, armsOf(battle.challenger_id), icon("bolt"), armsOf(battle.opponent_id)),
    h("p", { class: "state-heading" }, "Waiting for its turn"),
    h(
      "p",
      { class: "state-sentence" },
      `It is number ${number(battle.sequence)} in the order of all battles, and it is kept. `,
      "It is fought as soon as the earlier battles of both have taken effect.",
    ),
    h("div", { class: "queued-track", "aria-hidden": "true" }),
  );
}

function voided(battle) {
  const sentence = `It could not be fought or settled, and nothing moved. ${battle.void_reason}`;
  return h("div", { class: "card" }, empty("broken", "This battle is void", sentence));
}

function unknown() {
  const arena = h("a", { class: "button", href: "#/arena" }, "To the arena");
  return empty("shield", "No such battle", "Nobody ever fought it here. The link may be of another server.", arena);
}
