// What stands where there is nothing to show: because there is nothing yet, or because something does not answer.
// Each says what is the matter in a sentence, and what to do.

import { h, icon } from "./dom.js";
import { clock } from "./format.js";

const AWAY = {
  player: "The player service does not answer. Names and balances come back with it; nothing is lost.",
  battle: "The battle service does not answer. Battles that were taken are kept; new ones have to wait for it.",
  leaderboard: "The leaderboard does not answer. Battles go on, and it catches up by itself once it is back.",
};

/** The sentence for an ApiError. */
export function explain(error) {
  if (error.status === "OFFLINE") return "The gateway can't be reached. Check the connection.";
  if (error.status === "UNAVAILABLE" && AWAY[error.service]) return AWAY[error.service];
  const text = error.message || "Something went wrong";
  return `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

/** The sentence for a service by name. */
export const away = (service) => AWAY[service];

/** There is nothing yet. */
export function empty(symbol, heading, sentence, ...actions) {
  return h(
    "div",
    { class: "state" },
    symbol && icon(symbol),
    h("p", { class: "state-heading" }, heading),
    h("p", { class: "state-sentence" }, sentence),
    actions.length > 0 && h("p", { class: "state-actions" }, actions),
  );
}

/** Something failed. `retry` is called by the button; without one, it is tried again by itself. */
export function trouble(error, retry = null) {
  const helpless = !error.passes;
  return h(
    "div",
    { class: "state state-trouble", role: helpless && "alert" }, // what passes is told at the head of the page
    icon("broken"),
    h("p", { class: "state-heading" }, helpless ? "That did not work" : "Out of reach for the moment"),
    h("p", { class: "state-sentence" }, explain(error)),
    !retry && error.passes && h("p", { class: "state-waiting" }, "Trying again by itself…"),
    retry && h("p", { class: "state-actions" }, h("button", { class: "button", onclick: retry }, "Try again")),
  );
}

/** A line above something that can't be kept up to date just now. The notice at the head of the page says why. */
export function stale(time) {
  const words = ["As it was at ", h("time", { datetime: time.toISOString() }, clock(time)), ". It goes on by itself."];
  return h("p", { class: "stale" }, icon("broken"), h("span", {}, words));
}

/** Lines that hold the place of a list that is on its way. */
export function skeleton(lines) {
  return h(
    "div",
    { class: "skeleton", "aria-hidden": "true" },
    Array.from({ length: lines }, () => h("div", { class: "skeleton-line" })),
  );
}
