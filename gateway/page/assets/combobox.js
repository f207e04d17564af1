// A field that finds things while one types: the combobox of the ARIA practices, with a list below it.

import { h, put } from "./dom.js";

const QUIET = 150; // milliseconds without a key before it asks

export class Combobox {
  #search;
  #print;
  #onPick;
  #signal;
  #list;
  #note;
  #items = [];
  #active = -1;
  #question = null;
  #timer = 0;

  /**
   * @param {string} id
   * @param {string} label
   * @param {object} how
   * @param {AbortSignal} how.signal Ends it.
   * @param {function} how.search Takes the text and a signal; resolves to items that have a `name`.
   * @param {function} how.print Returns the children of an item's line.
   * @param {function} how.onPick Takes the item that was picked.
   */
  constructor(id, label, { signal, search, print, onPick }) {
    this.#search = search;
    this.#print = print;
    this.#onPick = onPick;
    this.#signal = signal;
    this.#list = h("ul", { id: `${id}-list`, role: "listbox", "aria-label": `${label}s found`, hidden: true });
    this.#note = h("p", { class: "combobox-note", role: "status" });
    this.input = h("input", {
      id,
      role: "combobox",
      type: "text",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: "Begin to type a name",
      "aria-expanded": "false",
      "aria-controls": `${id}-list`,
      "aria-autocomplete": "list",
      oninput: () => this.#askSoon(),
      onclick: () => this.#list.hidden && this.#ask(),
      onkeydown: (event) => this.#press(event),
      onblur: () => this.#close(),
    });
    this.element = h("div", { class: "combobox" }, h("label", { for: id }, label), this.input, this.#list, this.#note);
  }

  #askSoon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), QUIET);
  }

  async #ask() {
    this.#question?.abort(); // an answer to what was typed before would come too late, or in the wrong order
    const question = (this.#question = new AbortController());
    try {
      this.#items = await this.#search(this.input.value, AbortSignal.any([question.signal, this.#signal]));
    } catch {
      if (question.signal.aborted || this.#signal.aborted) return;
      this.#close();
      put(this.#note, "Names can't be looked up just now. Try again in a moment.");
      return;
    }
    if (question.signal.aborted || document.activeElement !== this.input) return;
    this.#open();
  }

  #open() {
    const option = (item, index) =>
      h(
        "li",
        {
          id: `${this.#list.id}-${index}`,
          role: "option",
          "aria-selected": "false",
          onpointerdown: (event) => event.preventDefault(), // the field keeps the focus
          onclick: () => this.#pick(index),
        },
        this.#print(item),
      );
    put(this.#list, this.#items.map(option));
    this.#list.hidden = !this.#items.length;
    this.input.setAttribute("aria-expanded", String(this.#items.length > 0));
    put(this.#note, this.#items.length ? "" : "Nobody has a name that begins like this.");
    this.#activate(this.#items.length && this.input.value ? 0 : -1);
  }

  #close() {
    clearTimeout(this.#timer);
    this.#question?.abort();
    this.#list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.#activate(-1);
  }

  #activate(index) {
    this.#active = index;
    for (const [at, each] of [...this.#list.children].entries()) each.setAttribute("aria-selected", at === index);
    const option = this.#list.children[index];
    if (option) {
      this.input.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    } else {
      this.input.removeAttribute("aria-activedescendant");
    }
  }

  #press(event) {
    const open = !this.#list.hidden;
    const last = this.#items.length - 1;
    const moves = {
      ArrowDown: () => (open ? this.#activate(this.#active < last ? this.#active + 1 : 0) : this.#ask()),
      ArrowUp: () => (open ? this.#activate(this.#active > 0 ? this.#active - 1 : last) : this.#ask()),
      Enter: open && this.#active >= 0 ? () => this.#pick(this.#active) : null,
      Escape: open ? () => this.#close() : null,
    };
    if (event.isComposing || !moves[event.key]) return;
    event.preventDefault();
    moves[event.key]();
  }

  #pick(index) {
    const item = this.#items[index];
    this.input.value = item.name;
    this.#close();
    put(this.#note);
    this.#onPick(item);
  }
}
