// The stage: both fighters with their hit points, and the blow that falls.

import { h, put, svg } from "./dom.js";
import { number } from "./format.js";
import { animate } from "./motion.js";
import { armsOf, nameOf, nameText } from "./players.js";

const POP = [{ opacity: 0, transform: "scale(.8)" }, { opacity: 1, transform: "none" }];

export class Stage {
  #sides;
  #callout = h("p", { class: "callout" });

  constructor(report) {
    const { challenger, opponent } = report;
    this.#sides = [new Side(challenger, 1, "Challenger"), new Side(opponent, -1, "Opponent")];
    const [left, right] = this.#sides.map((side) => side.element);
    const middle = h("div", { class: "stage-middle" }, this.#callout);
    this.element = h("div", { class: "stage" }, field(), left, middle, right);
  }

  /**
   * Shows a moment.
   *
   * @param {number[]} hitPoints Of the challenger and of the opponent.
   * @param {?object} turn The turn that led here; none at the beginning.
   * @param {number} time Milliseconds for the blow; 0 shows what it led to at once.
   */
  show(hitPoints, turn, time) {
    const fell = hitPoints.includes(0);
    for (const [index, side] of this.#sides.entries()) side.show(hitPoints[index], time, fell);
    put(this.#callout, turn ? this.#words(turn) : "Ready");
    this.#callout.className = `callout ${turn ? (turn.hit ? "callout-hit" : "callout-miss") : ""}`;
    if (!turn || !time) return;
    const mine = turn.attacker_id === this.#sides[0].id;
    const [attacker, defender] = mine ? this.#sides : this.#sides.toReversed();
    attacker.strike(time);
    defender.take(turn, time);
    animate(this.#callout, POP, { duration: Math.min(240, time / 2) });
  }

  #words(turn) {
    const [big, small] = turn.hit ? [`−${number(turn.damage)}`, "hit"] : ["Miss", "dodged"];
    return [h("span", { class: "callout-big" }, big), h("span", { class: "callout-small" }, small)];
  }
}

/** The ground they stand on, parted by the bolt of the emblem. */
function field() {
  const bolt = "M58 0L46 47L54 53L42 100";
  const frame = { class: "stage-field", viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" };
  return svg(
    "svg",
    frame,
    svg("path", { class: "stage-gules", d: "M0 0H100V100H0Z" }),
    svg("path", { class: "stage-azure", d: `${bolt}H100V0Z` }),
    svg("path", { class: "stage-bolt", d: bolt }),
    svg("path", { class: "stage-bolt", d: bolt }),
  );
}

class Side {
  #most;
  #way;
  #before = null;
  #shield;
  #fill = h("span", { class: "hp-fill" });
  #loss = h("span", { class: "hp-loss" });
  #left = h("span", { class: "hp-left" });
  #meter;
  #blow = h("span", { class: "blow", "aria-hidden": "true" });

  constructor(combatant, way, role) {
    this.id = combatant.player_id;
    this.#most = combatant.hit_points;
    this.#way = way;
    this.#shield = h("div", { class: "fighter" }, armsOf(this.id));
    const range = { "aria-label": `Hit points of ${nameOf(this.id)}`, "aria-valuemin": 0, "aria-valuemax": this.#most };
    this.#meter = h("div", { class: "hp", role: "meter", ...range }, this.#loss, this.#fill);
    const most = h("span", { class: "hp-most" }, ` / ${number(this.#most)}`);
    const fact = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
    const [attack, luck] = [fact("Attack", number(combatant.attack)), fact("Luck", `${combatant.luck}%`)];
    this.element = h(
      "div",
      { class: `corner ${way > 0 ? "corner-challenger" : "corner-opponent"}` },
      h("div", { class: "fighter-box" }, this.#shield, this.#blow),
      h("div", {}, h("p", { class: "eyebrow" }, role), h("p", { class: "corner-name" }, nameText(this.id))),
      h("div", { class: "hp-row" }, this.#meter, h("p", { class: "hp-number" }, this.#left, most)),
      h("dl", { class: "facts facts-small" }, attack, luck),
    );
  }

  /** `fell` tells whether either of them has. */
  show(hitPoints, time, fell) {
    const before = this.#before ?? hitPoints;
    this.#before = hitPoints;
    this.#left.textContent = number(hitPoints);
    this.#meter.setAttribute("aria-valuenow", hitPoints);
    this.#meter.setAttribute("aria-valuetext", `${number(hitPoints)} of ${number(this.#most)}`);
    const scale = (value) => `scaleX(${value / this.#most})`;
    // Through the object model, since the page's own policy forbids styles in the markup.
    this.#fill.style.transform = this.#loss.style.transform = scale(hitPoints);
    this.element.classList.toggle("low", hitPoints > 0 && hitPoints * 4 <= this.#most);
    this.element.classList.toggle("fallen", hitPoints === 0);
    this.element.classList.toggle("standing", fell && hitPoints > 0);
    for (const part of [this.#shield, this.#fill, this.#loss, this.#blow]) {
      for (const animation of part.getAnimations()) animation.cancel();
    }
    if (!time || before <= hitPoints) return;
    const [from, to] = [{ transform: scale(before) }, { transform: scale(hitPoints) }];
    animate(this.#fill, [from, to], { duration: Math.min(180, time / 4), delay: time * 0.16, fill: "backwards" });
    animate(this.#loss, [from, to], { duration: Math.min(700, time * 0.5), delay: time * 0.36, fill: "backwards" });
  }

  /** Lunges at the other. */
  strike(time) {
    const [back, there] = [-8 * this.#way, 34 * this.#way];
    animate(
      this.#shield,
      [
        { transform: "none" },
        { transform: `translateX(${back}px) rotate(${-3 * this.#way}deg)`, offset: 0.25 },
        { transform: `translateX(${there}px) rotate(${7 * this.#way}deg)`, offset: 0.5 },
        { transform: "none" },
      ],
      { duration: Math.min(620, time * 0.7), easing: "ease-in-out" },
    );
  }

  /** Is hit, or steps aside. */
  take(turn, time) {
    const delay = time * 0.16;
    this.#blow.textContent = turn.hit ? `−${number(turn.damage)}` : "miss";
    this.#blow.className = `blow ${turn.hit ? "blow-hit" : "blow-miss"}`;
    animate(
      this.#blow,
      [
        { opacity: 0, transform: "translate(-50%, 20%) scale(.7)" },
        { opacity: 1, transform: "translate(-50%, -30%) scale(1.1)", offset: 0.2 },
        { opacity: 1, transform: "translate(-50%, -60%)", offset: 0.6 },
        { opacity: 0, transform: "translate(-50%, -130%)" },
      ],
      { duration: Math.min(1100, time * 0.82), delay },
    );
    const away = -this.#way;
    if (turn.hit) {
      const shake = (x) => ({ transform: `translateX(${x * away}px) rotate(${x * 0.3 * away}deg)` });
      const timing = { duration: Math.min(420, time * 0.6), delay, easing: "linear" };
      animate(this.#shield, [0, 12, -9, 6, -3, 0].map(shake), timing);
    } else {
      const aside = { transform: `translate(${26 * away}px, -6px) rotate(${8 * away}deg)`, opacity: 0.55 };
      animate(this.#shield, [{}, aside, {}], { duration: Math.min(560, time * 0.6), delay });
    }
  }
}
