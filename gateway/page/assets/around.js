// The places around this browser's player.

import { get } from "./api.js";
import { announce, h, latest, put } from "./dom.js";
import { ordinal } from "./format.js";
import { me, onMeChange } from "./me.js";
import { learn } from "./players.js";
import { Standings } from "./standings.js";
import { empty } from "./states.js";

const PLACES = 5;
const PAUSE = 1000; // a board may change several times a second; this need not

export class Around {
  #path;
  #signal;
  #content = h("div");
  #standings = new Standings("Places around your player", true);
  #rank = null;
  #id = null;

  constructor(board, signal) {
    this.#path = `/v1/leaderboards/${encodeURIComponent(board)}/entries`;
    this.#signal = signal;
    this.element = h(
      "section",
      { class: "card around", "aria-labelledby": "around-heading" },
      h("h2", { id: "around-heading" }, "Around you"),
      this.#content,
    );
    if (!me()) this.#showNobody();
    onMeChange(() => this.refresh(), signal);
  }

  /** Shows the places as they are now. */
  refresh = latest(async () => {
    if (this.#signal.aborted) return;
    const own = me();
    if (!own) return this.#showNobody();
    try {
      await this.#show(own.player_id);
    } catch {
      // The board beside it says what is wrong, and the next change asks again.
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  });

  async #show(id) {
    // Asked for first, because asking for the places around somebody who has none is an error.
    const found = await get(`${this.#path}:batchGet`, { player_ids: [id] }, this.#signal);
    if (!found.entries.length) return this.#showUnplaced();
    const answer = await get(`${this.#path}/${id}:around`, { count: PLACES }, this.#signal);
    await learn(answer.entries.map((entry) => entry.player_id), this.#signal);
    if (this.#signal.aborted) return;
    if (!this.#standings.element.isConnected) put(this.#content, this.#standings.element);
    this.#standings.show(answer.entries);
    const { rank } = found.entries[0];
    if (this.#id === id && this.#rank !== null && rank !== this.#rank) announce(`You are ${ordinal(rank)} now.`);
    this.#rank = rank;
    this.#id = id;
  }

  #showUnplaced() {
    this.#rank = null;
    const fight = h("a", { class: "button button-primary", href: "#/arena" }, "Pick a fight");
    const text = "Win a battle, and its loot puts you on this board.";
    put(this.#content, empty("shield", "You have no place yet", text, fight));
  }

  #showNobody() {
    const create = h("a", { class: "button", href: "#/new" }, "Create a player");
    const text = "Create a player, challenge anybody, and climb with every win.";
    put(this.#content, empty("shield", "Raise your colours", text, create));
  }
}
