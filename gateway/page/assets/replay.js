// A battle turn by turn: a stage, its course over time, the controls, and what came of it.

import { animate, moves } from "./motion.js";
import { announce, h, icon, put } from "./dom.js";
import { number } from "./format.js";
import { Course } from "./course.js";
import { nameOf, nameText } from "./players.js";
import { result } from "./result.js";
import { empty } from "./states.js";
import { Stage } from "./stage.js";

const RISE = [{ opacity: 0, transform: "translateY(8px)" }, { opacity: 1, transform: "none" }];
const SPEEDS = [0.5, 1, 2, 4];
const SLOWEST = 1300; // milliseconds for a turn, when there are few
const WHOLE = 60_000; // and for all turns together, when there are many
const FASTEST = 60;

export class Replay {
  #battle;
  #turns;
  #frames;
  #stage;
  #course;
  #lines;
  #result;
  #resultCard;
  #told = { lines: 0, outcome: false }; // what is on show already
  #at = 0;
  #seen = 0;
  #speed = 1;
  #timer = 0;
  #playButton = h("button", { class: "control control-play", onclick: () => this.toggle() });
  #counter = h("span", { class: "turn-counter" });

  constructor(battle, report, signal) {
    this.#battle = battle;
    this.#turns = report.turns;
    this.#frames = frames(report);
    this.#stage = new Stage(report);
    this.#course = new Course(report, this.#frames, signal, (index) => this.seek(index));
    this.#lines = report.turns.map((turn, index) => this.#line(turn, index));
    this.#result = h("div", { class: "result-told" }, result(battle, report, signal));
    const skip = h("button", { class: "button", onclick: () => this.seek(Infinity) }, "Skip to the end");
    const untold = empty("shield", "Who will win?", "It is told once the last blow has fallen.", skip);
    this.#resultCard = h("section", { class: "card result", "aria-label": "Outcome" }, untold);
    this.element = h(
      "div",
      { class: "replay", onkeydown: (event) => this.#press(event) },
      h(
        "section",
        { class: "card stage-card", "aria-label": "Replay" },
        this.#stage.element,
        this.#course.element,
        this.#controls(),
      ),
      h(
        "div",
        { class: "replay-grid" },
        this.#resultCard,
        h(
          "section",
          { class: "card", "aria-labelledby": "turns-heading" },
          h("h2", { id: "turns-heading" }, "Turn by turn"),
          h("ol", { class: "turns", tabindex: 0, "aria-labelledby": "turns-heading" }, this.#lines),
        ),
      ),
    );
    signal.addEventListener("abort", () => this.pause());
    this.#show(false);
  }

  get #ended() {
    return this.#at === this.#turns.length;
  }

  /** Plays from here, or from the beginning when it has ended. */
  play() {
    if (this.#ended) this.#at = 0;
    this.#show(false);
    this.#next();
    this.#showControls();
  }

  pause() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#showControls();
  }

  toggle() {
    if (this.#timer) this.pause();
    else this.play();
  }

  /** Goes to the moment after a number of turns, and stays there. */
  seek(turns, moving = false) {
    this.pause();
    this.#at = Math.max(0, Math.min(turns, this.#turns.length));
    this.#show(moving);
  }

  #next() {
    const pause = Math.max(FASTEST, Math.min(SLOWEST, WHOLE / this.#turns.length)) / this.#speed;
    this.#timer = setTimeout(() => {
      this.#at += 1;
      this.#show(true, pause);
      if (this.#ended) this.pause();
      else this.#next();
    }, this.#at ? pause : pause / 2);
  }

  #show(moving, pause = SLOWEST / this.#speed) {
    const turn = this.#turns[this.#at - 1];
    this.#stage.show(this.#frames[this.#at], turn, moving && moves() ? pause : 0);
    this.#seen = Math.max(this.#seen, this.#at);
    this.#course.show(this.#at, this.#seen);
    this.#counter.textContent = `Turn ${number(this.#at)} of ${number(this.#turns.length)}`;
    this.#showLine();
    if (this.#ended && !this.#told.outcome) this.#tell();
    this.#showControls();
  }

  #tell() {
    this.#told.outcome = true;
    put(this.#resultCard, this.#result);
    const { winner_id: winner, gold_stolen: gold, silver_stolen: silver } = this.#battle;
    const loot = `${number(gold)} gold and ${number(silver)} silver`;
    announce(winner ? `${nameOf(winner)} wins, and takes ${loot}.` : "A draw. Nothing moved.");
    animate(this.#result, RISE, { duration: 500 });
  }

  #line(turn, index) {
    const mine = turn.attacker_id === this.#battle.challenger_id;
    const defender = mine ? this.#battle.opponent_id : this.#battle.challenger_id;
    const left = ` has ${number(turn.defender_hit_points)} left`;
    const what = turn.hit
      ? [" hits for ", h("b", {}, number(turn.damage)), "; ", nameText(defender), left]
      : [" misses ", nameText(defender)];
    const classes = `turn ${mine ? "turn-challenger" : "turn-opponent"}${turn.hit ? "" : " turn-miss"}`;
    return h(
      "li",
      { class: classes, hidden: true },
      h(
        "button",
        { class: "turn-button", tabindex: -1, onclick: () => this.seek(index + 1) },
        h("span", { class: "turn-number" }, number(index + 1)),
        h("span", {}, nameText(turn.attacker_id), what),
      ),
    );
  }

  #showLine() {
    for (; this.#told.lines < this.#seen; this.#told.lines += 1) this.#lines[this.#told.lines].hidden = false;
    this.element.querySelector(".turn[aria-current]")?.removeAttribute("aria-current");
    const line = this.#lines[this.#at - 1];
    if (!line) return;
    line.setAttribute("aria-current", "step");
    // Not scrollIntoView, which would scroll the page too.
    const list = line.parentElement;
    list.scrollTop = line.offsetTop - (list.clientHeight - line.clientHeight) / 2;
  }

  #controls() {
    const control = (symbol, text, run) =>
      h("button", { class: "control", "aria-label": text, title: text, onclick: run }, icon(symbol));
    const speed = (value) => {
      const onchange = () => (this.#speed = value);
      const input = h("input", { type: "radio", name: "speed", value, checked: value === this.#speed, onchange });
      return h("label", { class: "speed" }, input, h("span", {}, `${value}×`));
    };
    return h(
      "div",
      { class: "controls" },
      h(
        "div",
        { class: "control-group", role: "group", "aria-label": "Replay controls" },
        control("first", "To the beginning", () => this.seek(0)),
        control("previous", "One turn back", () => this.seek(this.#at - 1)),
        this.#playButton,
        control("next", "One turn on", () => this.seek(this.#at + 1, true)),
        control("last", "To the end", () => this.seek(Infinity)),
      ),
      this.#counter,
      h("fieldset", { class: "speeds" }, h("legend", { class: "unseen" }, "Speed"), SPEEDS.map(speed)),
    );
  }

  #showControls() {
    const [symbol, text] = this.#timer ? ["pause", "Pause"] : this.#ended ? ["again", "Play again"] : ["play", "Play"];
    this.#playButton.setAttribute("aria-label", text);
    this.#playButton.title = text;
    put(this.#playButton, icon(symbol));
  }

  /** The keys of every player of films, wherever in the replay the focus is; the slider has its own. */
  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
    const keys = {
      k: () => this.toggle(),
      ArrowLeft: () => this.seek(this.#at - 1),
      ArrowRight: () => this.seek(this.#at + 1, true),
      Home: () => this.seek(0),
      End: () => this.seek(Infinity),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  }
}

/** The hit points of both after 0, 1, 2… turns, as [challenger's, opponent's]. */
function frames({ challenger, opponent, turns }) {
  const all = [[challenger.hit_points, opponent.hit_points]];
  for (const turn of turns) {
    const [mine, other] = all.at(-1);
    const left = turn.defender_hit_points;
    all.push(turn.attacker_id === challenger.player_id ? [mine, left] : [left, other]);
  }
  return all;
}
