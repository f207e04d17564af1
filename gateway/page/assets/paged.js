// A list that comes in pages, newest first, and grows at its head while one looks at it.

import { h, put } from "./dom.js";
import { flip } from "./motion.js";
import { skeleton, stale, trouble } from "./states.js";

export class Paged {
  #load;
  #key;
  #line;
  #empty;
  #signal;
  #lines = new Map(); // key → element
  #next = "";
  #loaded = null; // when the first page was loaded last
  #notice = h("div");
  #list;
  #place = h("div", {}, skeleton(4));
  #more = h("p", { class: "more" });

  /**
   * @param {object} how
   * @param {string} how.name The class of the list.
   * @param {AbortSignal} how.signal
   * @param {function} how.load Takes a page token; resolves to {items, next}.
   * @param {function} how.key Returns what tells an item from the others.
   * @param {function} how.line Returns the children of an item's line.
   * @param {function} how.empty Returns what stands there when there is nothing.
   */
  constructor({ name, signal, load, key, line, empty }) {
    this.#load = load;
    this.#key = key;
    this.#line = line;
    this.#empty = empty;
    this.#signal = signal;
    this.#list = h("ul", { class: name });
    this.element = h("div", {}, this.#notice, this.#list, this.#place, this.#more);
  }

  /** Loads the first page: what is new goes to the head, what has changed is shown as it is now. */
  refresh = () => this.#take("");

  async #take(token) {
    let page;
    try {
      page = await this.#load(token);
    } catch (error) {
      if (this.#signal.aborted) return;
      if (!this.#loaded) put(this.#place, trouble(error));
      else put(this.#notice, stale(this.#loaded));
      return;
    }
    if (this.#signal.aborted) return;
    put(this.#notice);
    const lines = page.items.map((item) => [this.#key(item), this.#show(item)]);
    flip(this.#list, () => {
      this.#lines = new Map(token ? [...this.#lines, ...lines] : [...lines, ...this.#lines]);
      put(this.#list, [...this.#lines.values()]);
    });
    if (token || !this.#loaded) this.#next = page.next; // the pages below are those that were there before
    if (!token) this.#loaded = new Date();
    put(this.#place, this.#lines.size === 0 && this.#empty());
    const more = h("button", { class: "button button-quiet", onclick: () => this.#take(this.#next) }, "Show more");
    put(this.#more, this.#next && more);
  }

  #show(item) {
    const element = this.#lines.get(this.#key(item)) ?? h("li");
    return put(element, this.#line(item));
  }
}
