// A table of places. Shown again with other entries, every row glides to its new place and says how far it came.

import { h, put, unseen } from "./dom.js";
import { count, number } from "./format.js";
import { isMe } from "./me.js";
import { animate, countTo, flip } from "./motion.js";
import { armsOf, nameText } from "./players.js";

const DELTA_LASTS = 5000;

export class Standings {
  #rows = new Map(); // player id → row
  #body = h("tbody");

  /**
   * @param {string} caption What the table shows, for screen readers.
   * @param {boolean} slim Whether it stands at the side.
   */
  constructor(caption, slim = false) {
    const heads = ["Rank", "Player", "Loot"].map((text) => h("th", { scope: "col" }, text));
    this.element = h(
      "table",
      { class: slim ? "standings standings-slim" : "standings" },
      h("caption", { class: "unseen" }, caption),
      h("thead", {}, h("tr", {}, heads)),
      this.#body,
    );
  }

  /** Shows entries; `learn` their names before. */
  show(entries) {
    const best = Number(entries[0]?.score ?? 0);
    flip(this.#body, () => {
      const rows = entries.map((entry) => {
        const row = this.#rows.get(entry.player_id) ?? new Row(entry.player_id);
        row.show(entry, best);
        return row;
      });
      this.#rows = new Map(rows.map((row) => [row.id, row]));
      put(this.#body, rows.map((row) => row.element));
    });
  }

  /** Marks the row of this browser's player anew. */
  mark() {
    for (const row of this.#rows.values()) row.mark();
  }
}

class Row {
  #position = null;
  #score = 0;
  #name = "";
  #rank = h("span", { class: "rank" });
  #delta = h("span", { class: "delta" });
  #link = h("a", { class: "player-link" });
  #bar = h("span", { class: "bar", "aria-hidden": "true" });
  #number = h("span", { class: "score-number" });

  constructor(id) {
    this.id = id;
    this.#link.href = `#/player/${id}`;
    this.element = h(
      "tr",
      {},
      h("td", { class: "place" }, this.#rank, this.#delta),
      h("th", { scope: "row", class: "who" }, this.#link, this.#bar),
      h("td", { class: "score" }, this.#number),
    );
    this.mark();
  }

  mark() {
    this.element.classList.toggle("mine", isMe(this.id));
  }

  show(entry, best) {
    const [position, score] = [Number(entry.position), Number(entry.score)];
    this.#rank.textContent = number(entry.rank);
    this.element.dataset.rank = entry.rank;
    this.#showName();
    // Set here and not in the markup, where the page's own policy forbids styles.
    this.#bar.style.transform = `scaleX(${best ? score / best : 0})`;
    const first = this.#position === null;
    if (!first && position !== this.#position) this.#showDelta(this.#position - position);
    if (first) this.#number.textContent = number(entry.score);
    else if (score !== this.#score) {
      countTo(this.#number, this.#score, score, (value) => (value === score ? number(entry.score) : number(value)));
      if (score > this.#score) animate(this.#number, [{ color: "var(--good)" }, {}], { duration: 1800 });
    }
    this.#position = position;
    this.#score = score;
  }

  #showName() {
    const text = nameText(this.id);
    if (text.textContent === this.#name) return;
    this.#name = text.textContent;
    put(this.#link, armsOf(this.id), text, isMe(this.id) && h("span", { class: "you" }, "you"));
  }

  #showDelta(places) {
    const way = places > 0 ? "up" : "down";
    const steps = Math.abs(places);
    const chip = h(
      "span",
      { class: `delta-chip delta-${way}` },
      h("span", { "aria-hidden": "true" }, `${places > 0 ? "▲" : "▼"}\u2009${steps}`),
      unseen(`, ${way} ${count(steps, "place")}`),
    );
    put(this.#delta, chip);
    const timing = { duration: DELTA_LASTS, easing: "linear" };
    animate(chip, [{ opacity: 1 }, { opacity: 1, offset: 0.8 }, { opacity: 0 }], timing);
    setTimeout(() => chip.remove(), DELTA_LASTS);
  }
}
