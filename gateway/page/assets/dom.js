// Builds elements. A string always becomes a text node, never markup, so a player's name may hold whatever it likes.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Makes an HTML element.
 * @param {string} tag
 * @param {object} properties Attributes by name; `on…` with a function listens; true is an empty attribute, and
 *     false, null or undefined leave it out.
 * @param {...(Node|string|number|null|false|Array)} children
 */
export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** Makes an SVG element, as `h` does. */
export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...present(children));
  return element;
}

/** Puts other children into an element, leaving out null and false as `h` does. */
export function put(element, ...children) {
  element.replaceChildren(...present(children));
  return element;
}

function present(children) {
  return children.flat(2).filter((child) => child != null && child !== false);
}

/** Shows one of the symbols that index.html defines. It says nothing to a screen reader: a text beside it does. */
export function icon(name) {
  return svg("svg", { class: `icon icon-${name}`, "aria-hidden": "true" }, svg("use", { href: `#icon-${name}` }));
}

/** Text for screen readers alone. */
export function unseen(text) {
  return h("span", { class: "unseen" }, text);
}

/** Speaks a sentence through the page's one live region. */
export function announce(sentence) {
  document.getElementById("announcer").textContent = sentence;
}

/** Names the document after what it shows. */
export function title(text) {
  document.title = text ? `${text} · Skirmish` : "Skirmish";
}

/** Runs a function again and again until the signal, and never while nobody looks. */
export function every(milliseconds, signal, run) {
  const timer = setInterval(() => document.hidden || run(), milliseconds);
  signal.addEventListener("abort", () => clearInterval(timer));
}

/**
 * Makes a function that is called with every news and works on one at a time: what came while it worked is passed
 * over but for the latest.
 */
export function latest(work) {
  let busy = false;
  let waiting = null;
  return async function take(news) {
    if (busy) {
      waiting = { news };
      return;
    }
    busy = true;
    try {
      await work(news);
    } finally {
      busy = false;
      if (waiting) {
        const next = waiting.news;
        waiting = null;
        take(next);
      }
    }
  };
}
