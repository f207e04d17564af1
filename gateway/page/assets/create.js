// Creates a player. What is wrong is said at its field while it is typed; what only the server knows, when it says so.

import { Intent, get, post } from "./api.js";
import { arms } from "./arms.js";
import { announce, h, put, title } from "./dom.js";
import { Field } from "./field.js";
import { DESCRIPTION_LENGTH, NAME_LENGTH, NUMBERS } from "./limits.js";
import { descriptionProblems, lengthOf, nameProblems, numberProblems } from "./limits.js";
import { play } from "./me.js";
import { remember } from "./players.js";
import { go } from "./router.js";
import { explain } from "./states.js";

const QUIET = 300; // milliseconds without a key before the server is asked whether a name is taken

export function createView(root, signal) {
  title("Create a player");
  const intent = new Intent();
  const name = new Field("name", "Name", {
    hint: "Unique, and yours for good.",
    check: nameProblems,
    counter: (text) => `${lengthOf(text)} / ${NAME_LENGTH}`,
    attributes: { autocomplete: "off", spellcheck: "false", dir: "auto", required: true },
  });
  const description = new Field("description", "Description", {
    hint: "What others should know. Not needed.",
    check: descriptionProblems,
    counter: (text) => `${[...text].length} / ${DESCRIPTION_LENGTH}`,
    multiline: true,
    attributes: { rows: 3, dir: "auto" },
  });
  const numbers = Object.entries(NUMBERS).map(([key, { label, least, most, usual, hint }]) => {
    const attributes = { type: "number", inputmode: "numeric", min: least, max: most, step: 1, placeholder: usual };
    return new Field(key, label, { hint, check: (text, bad) => numberProblems(key, text, bad), attributes });
  });
  const fields = [name, description, ...numbers];

  const preview = h("div", { class: "preview" });
  function showPreview() {
    const below = h("p", { class: "preview-name", dir: "auto" }, name.value || "Your arms");
    put(preview, arms(name.value.normalize("NFC").trim()), below);
  }
  showPreview();
  name.input.addEventListener("input", showPreview);
  askWhetherTaken(name, signal);

  const problem = h("p", { class: "form-problem", role: "alert" });
  const button = h("button", { class: "button button-primary button-large" }, "Create player");
  const form = h(
    "form",
    { class: "card form", novalidate: true, onsubmit: submit },
    name.element,
    description.element,
    h(
      "fieldset",
      {},
      h("legend", {}, "Strengths and purse ", h("small", {}, "Leave empty for what is usual.")),
      h("div", { class: "numbers" }, numbers.map((field) => field.element)),
    ),
    problem,
    h("p", { class: "form-actions" }, button),
  );

  async function submit(event) {
    event.preventDefault();
    put(problem);
    const wrong = fields.filter((field) => !field.validate());
    if (wrong.length) return wrong[0].input.focus();
    if (button.disabled) return;
    const values = { name: name.value, description: description.value };
    for (const field of numbers) if (field.value) values[field.key] = Number(field.value);
    button.disabled = true;
    button.textContent = "Creating…";
    try {
      const player = await post("/v1/players", { ...values, request_id: intent.id(values) }, signal);
      intent.done();
      remember([player]);
      play(player);
      announce(`${player.name} is created.`);
      go(`/player/${player.player_id}`);
    } catch (error) {
      if (!signal.aborted) show(error);
    } finally {
      button.disabled = false;
      button.textContent = "Create player";
    }
  }

  function show(error) {
    if (error.reason === "NAME_TAKEN") {
      name.complain("This name is taken.");
      return name.input.focus();
    }
    const known = error.violations.filter(({ field }) => fields.some(({ key }) => key === field));
    for (const field of fields) {
      const told = known.filter((violation) => violation.field === field.key);
      if (told.length) field.complain(...told.map(({ description: text }) => `It ${text}.`));
    }
    const first = fields.find(({ key }) => known.some((violation) => violation.field === key));
    first?.input.focus();
    if (known.length === 0 || known.length < error.violations.length) put(problem, explain(error));
  }

  put(
    root,
    h("h1", {}, "Create a player"),
    h("div", { class: "create-grid" }, form, h("aside", { class: "card", "aria-label": "Preview" }, preview)),
  );
}

/** Says that a name is taken while it is typed. Those of deleted players stay taken too; only the server knows them. */
function askWhetherTaken(name, signal) {
  let timer = 0;
  name.input.addEventListener("input", () => {
    clearTimeout(timer);
    const text = name.value;
    if (nameProblems(text).length) return;
    timer = setTimeout(async () => {
      // By name in order, so whoever has exactly this one comes first.
      const answer = await get("/v1/players", { name_prefix: text, page_size: 1 }, signal).catch(() => null);
      if (!answer || name.value !== text) return;
      const taken = answer.players[0]?.name === text.normalize("NFC");
      if (taken) name.complain("This name is taken.");
      else name.praise("This name is free.");
    }, QUIET);
  });
}
