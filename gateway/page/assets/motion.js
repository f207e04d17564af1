// Movement, all of it through here, so that whoever asked for less of it gets none.

const reduced = matchMedia("(prefers-reduced-motion: reduce)");

const EASE = "cubic-bezier(.2, .75, .25, 1)";

/** Whether things may move. */
export const moves = () => !reduced.matches;

/** Animates an element, if things may move. Returns the animation, or null. */
export function animate(element, keyframes, options) {
  return moves() ? element.animate(keyframes, { easing: EASE, ...options }) : null;
}

const gliding = new WeakMap();

/**
 * Changes the order of elements and lets each glide from where it was to where it is.
 *
 * A glide that is under way is taken up where it is just then, so many changes in a row stay smooth.
 *
 * @param {HTMLElement} parent What holds them; places are measured from its top, so a page that shifts moves none.
 * @param {function} change Makes the change.
 */
export function flip(parent, change) {
  const place = (element) => element.getBoundingClientRect().top - parent.getBoundingClientRect().top;
  const before = new Map(Array.from(parent.children, (element) => [element, place(element)]));
  for (const element of before.keys()) gliding.get(element)?.cancel();
  change();
  if (!moves()) return;
  const after = new Map(Array.from(parent.children, (element) => [element, place(element)]));
  for (const [element, top] of after) {
    if (!before.has(element)) {
      animate(element, [{ opacity: 0 }, { opacity: 1 }], { duration: 500 });
      continue;
    }
    const way = before.get(element) - top;
    if (Math.abs(way) < 1) continue;
    element.classList.toggle("rising", way > 0);
    const glide = animate(
      element,
      [{ transform: `translateY(${way}px)` }, { transform: "none" }],
      { duration: 700 },
    );
    glide.onfinish = () => element.classList.remove("rising");
    gliding.set(element, glide);
  }
}

/** Counts a number up or down to where it is to be; `write` prints it. */
export function countTo(element, from, to, write, duration = 700) {
  const name = (element.counting = Symbol()); // a later count takes over
  if (!moves() || from === to || document.hidden) {
    element.textContent = write(to);
    return;
  }
  const began = performance.now();
  requestAnimationFrame(function step(now) {
    if (element.counting !== name) return;
    const part = Math.min(1, Math.max(0, (now - began) / duration));
    const eased = 1 - (1 - part) ** 3;
    element.textContent = write(part < 1 ? Math.round(from + (to - from) * eased) : to);
    if (part < 1) requestAnimationFrame(step);
  });
}
