// A labelled field of a form that says what is wrong with it.

import { h, put } from "./dom.js";

export class Field {
  #check;
  #problem;
  #counter;
  #count;

  /**
   * @param {string} key The field of the request, as violations name it.
   * @param {string} label
   * @param {object} options
   * @param {string} options.hint
   * @param {function} options.check Takes the text, and whether the browser could make nothing of it; returns what is
   *     wrong, a sentence each.
   * @param {function} [options.counter] Takes the text and returns how long it is, in words.
   * @param {boolean} [options.multiline]
   * @param {object} [options.attributes] Of the input.
   */
  constructor(key, label, { hint, check, counter, multiline = false, attributes = {} }) {
    this.key = key;
    this.#check = check;
    this.#count = counter;
    const id = `field-${key}`;
    const described = `${id}-hint ${id}-problem`;
    this.input = h(multiline ? "textarea" : "input", { id, name: key, "aria-describedby": described, ...attributes });
    this.#problem = h("p", { class: "field-problem", id: `${id}-problem`, "aria-live": "polite" });
    this.#counter = h("span", { class: "field-counter", "aria-hidden": "true" });
    this.element = h(
      "div",
      { class: "field" },
      h("div", { class: "field-head" }, h("label", { for: id }, label), this.#counter),
      this.input,
      h("p", { class: "field-hint", id: `${id}-hint` }, hint),
      this.#problem,
    );
    this.input.addEventListener("input", () => this.validate());
    this.#showCount();
  }

  get value() {
    return this.input.value;
  }

  /** Says what is wrong with it, and returns whether nothing is. */
  validate() {
    this.#showCount();
    const problems = this.#check(this.value, this.input.validity.badInput);
    this.complain(...problems);
    return !problems.length;
  }

  /** Says what is wrong. */
  complain(...problems) {
    this.#say(problems, problems.length > 0);
  }

  /** Says that it is right. */
  praise(sentence) {
    this.#say([sentence], false);
  }

  #say(sentences, wrong) {
    this.element.classList.toggle("field-wrong", wrong);
    if (wrong) this.input.setAttribute("aria-invalid", "true");
    else this.input.removeAttribute("aria-invalid");
    put(this.#problem, sentences.join(" "));
  }

  #showCount() {
    if (this.#count) this.#counter.textContent = this.#count(this.value);
  }
}
