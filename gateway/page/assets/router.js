// Views by the part of the address after the hash, so that every one of them is a link to share.

import { put } from "./dom.js";
import { animate } from "./motion.js";

const ENTER = [{ opacity: 0, transform: "translateY(6px)" }, { opacity: 1, transform: "none" }];

/**
 * Shows the view that the address names, and another one when it changes.
 *
 * A view is called with an empty element, a signal that ends everything it began, and what its pattern captured.
 *
 * @param {HTMLElement} main Holds the view.
 * @param {Array<[RegExp, function]>} routes The first that matches is taken.
 * @param {function} onChange Called with the path after each change.
 */
export function route(main, routes, onChange) {
  let leaving = null;

  function show() {
    leaving?.abort();
    const first = leaving === null;
    leaving = new AbortController();
    const path = location.hash.replace(/^#/, "") || "/";
    const root = document.createElement("div");
    root.className = "view";
    put(main, root);
    const [pattern, view] = routes.find(([candidate]) => candidate.test(path));
    view(root, leaving.signal, ...pattern.exec(path).slice(1).map(decode));
    onChange(path);
    if (!first) {
      scrollTo(0, 0);
      main.focus({ preventScroll: true }); // whoever reads by keyboard or ear begins at the new view
      animate(root, ENTER, { duration: 220 });
    }
  }

  addEventListener("hashchange", show);
  show();
}

/** Goes to another view. */
export function go(path) {
  location.hash = path;
}

function decode(text = "") {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
