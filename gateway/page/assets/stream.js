// Follows what changes: by server-sent events, and by asking every few seconds where those can't be had.

import { ApiError } from "./api.js";

const PAUSE = 2500;
const PATIENCE = 8; // polls before the stream is tried again, when it could not even be opened

/**
 * Follows a stream until the signal, or until it has ended properly.
 *
 * Nothing is followed while the page is hidden: a browser opens six connections to a server and no more, over all
 * of its tabs, and a stream holds one.
 *
 * @param {string} path
 * @param {object} how
 * @param {AbortSignal} how.signal Ends it.
 * @param {function} how.onMessage Takes each message.
 * @param {function} how.poll Asks once, without the stream; what it returns is a message too, unless undefined.
 * @param {function} [how.onOpen] The stream is open, anew too: what came in between may have been missed.
 * @param {function} [how.onTrouble] Takes the ApiError of a poll that failed.
 * @param {function} [how.isLast] Whether nothing can come after a message.
 */
export function watch(path, { signal, onMessage, poll, onOpen, onTrouble, isLast }) {
  let source = null;
  let timer = 0;
  let over = false;

  function take(message) {
    if (over || message === undefined) return;
    if (isLast?.(message)) stop();
    onMessage(message);
  }

  function open() {
    halt();
    let heard = false;
    const mine = (source = new EventSource(path));
    mine.addEventListener("open", () => onOpen?.());
    mine.addEventListener("message", (event) => {
      heard = true;
      take(JSON.parse(event.data));
    });
    mine.addEventListener("end", stop);
    // Both the stream's own last word, which has data, and a lost connection. Either way the next poll tells more.
    mine.addEventListener("error", () => mine === source && ask(heard ? 1 : PATIENCE));
  }

  async function ask(times) {
    halt();
    const mine = (timer = setTimeout(() => {}, 0)); // the turn of this question; halt() takes it away
    try {
      const message = await poll();
      if (mine === timer) take(message);
    } catch (error) {
      if (signal.aborted || mine !== timer) return;
      if (!(error instanceof ApiError)) throw error;
      onTrouble?.(error);
      if (error.passes) dispatchEvent(new Event("skirmish:trouble"));
    }
    if (over || mine !== timer) return;
    timer = setTimeout(() => (times > 1 ? ask(times - 1) : open()), PAUSE);
  }

  function halt() {
    source?.close();
    source = null;
    clearTimeout(timer);
    timer = 0;
  }

  function stop() {
    over = true;
    halt();
  }

  function resume() {
    if (!over && !document.hidden) open();
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? halt() : resume()), { signal });
  addEventListener("skirmish:recovered", resume, { signal });
  signal.addEventListener("abort", stop);
  resume();
}
