// The course of a battle: how the hit points of both fell, with a slider on it to go to any turn.

import { h, svg } from "./dom.js";
import { number } from "./format.js";

const HEIGHT = 96;
const PAD = 10;
const DOT = 4;
const MOST_DOTS = 60;

export class Course {
  #frames;
  #turns;
  #most;
  #drawing = svg("svg", { class: "course-drawing", height: HEIGHT, "aria-hidden": "true" });
  #seen = svg("rect", { height: HEIGHT });
  #cursor = svg("line", { class: "course-cursor", y1: 0, y2: HEIGHT });
  #slider;
  #width = 0;
  #at = 0;
  #until = 0;

  /** `onSeek` takes the number of turns that the slider was moved to. */
  constructor(report, frames, signal, onSeek) {
    this.#frames = frames;
    this.#turns = report.turns;
    this.#most = [report.challenger.hit_points, report.opponent.hit_points];
    this.#slider = h("input", {
      type: "range",
      class: "course-slider",
      min: 0,
      max: this.#turns.length,
      step: 1,
      value: 0,
      "aria-label": "Turn",
      oninput: () => onSeek(Number(this.#slider.value)),
    });
    this.element = h("div", { class: "course" }, this.#drawing, this.#slider);
    const observer = new ResizeObserver(([entry]) => this.#draw(entry.contentRect.width));
    observer.observe(this.element);
    signal.addEventListener("abort", () => observer.disconnect());
  }

  /** Marks the moment after a number of turns. Lines are drawn as far as `seen`: the rest would give the end away. */
  show(at, seen) {
    this.#at = at;
    this.#until = seen;
    this.#slider.value = at;
    const text = at ? `${number(at)} of ${number(this.#turns.length)}` : "The beginning";
    this.#slider.setAttribute("aria-valuetext", text);
    this.#moveCursor();
  }

  #x(index) {
    return PAD + (index / this.#turns.length) * (this.#width - 2 * PAD);
  }

  #moveCursor() {
    if (!this.#width) return; // not on the page yet
    const x = this.#x(this.#at);
    this.#cursor.setAttribute("x1", x);
    this.#cursor.setAttribute("x2", x);
    this.#seen.setAttribute("width", this.#x(this.#until) + DOT + 1);
  }

  #draw(width) {
    if (width === this.#width) return;
    this.#width = width;
    this.#drawing.setAttribute("width", width);
    const lines = [0, 1].flatMap((side) => this.#drawSide(side));
    const rule = (y) => svg("line", { class: "course-grid", x1: PAD, x2: width - PAD, y1: y, y2: y });
    this.#drawing.replaceChildren(
      ...[PAD, HEIGHT / 2, HEIGHT - PAD].map(rule),
      svg("clipPath", { id: "course-seen" }, this.#seen),
      svg("g", { "clip-path": "url(#course-seen)" }, lines),
      this.#cursor,
    );
    this.#moveCursor();
  }

  #drawSide(side) {
    const name = side ? "opponent" : "challenger";
    const apart = side * 3 - 1.5; // so that both are seen where they are equal
    const y = (frame) => HEIGHT - PAD - (frame[side] / this.#most[side]) * (HEIGHT - 2 * PAD) + apart;
    // Steps: hit points stay what they are until the next turn.
    let path = `M${this.#x(0)} ${y(this.#frames[0])}`;
    for (const [index, frame] of this.#frames.entries()) if (index) path += `H${this.#x(index)}V${y(frame)}`;
    const lines = [svg("path", { class: `course-line course-${name}`, d: path })];
    if (this.#turns.length > MOST_DOTS) return lines;
    // A dot for every attack on this side, hollow where it missed.
    for (const [index, turn] of this.#turns.entries()) {
      if ((turn.attacker_id === this.#turns[0].attacker_id) !== (side === 1)) continue;
      const kinds = `course-dot course-${name} course-${turn.hit ? "hit" : "miss"}`;
      const center = { cx: this.#x(index + 1), cy: y(this.#frames[index + 1]) };
      lines.push(svg("circle", { class: kinds, r: DOT, ...center }));
    }
    return lines;
  }
}
