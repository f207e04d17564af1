// The health strip at the foot of the page, and a notice at its head while something is wrong.

import { announce, h, icon, put } from "./dom.js";
import { away } from "./states.js";

const SERVICES = ["player", "battle", "leaderboard"];
const CALM = 5000;
const WORRIED = 1500;

/** Keeps strip and notice right as long as the page lives. */
export function showHealth(strip, notice) {
  let before = null;
  let timer = 0;
  let asking = false;

  async function check() {
    clearTimeout(timer);
    if (document.hidden || asking) return;
    asking = true;
    const services = await ask();
    asking = false;
    const bad = SERVICES.filter((name) => services[name] !== "SERVING");
    const now = JSON.stringify(services);
    if (now !== before) {
      show(strip, notice, services, bad);
      if (before !== null && !bad.length) {
        announce("All services are up again."); // the notice speaks for itself, but not when it goes
        dispatchEvent(new Event("skirmish:recovered"));
      }
      before = now;
    }
    timer = setTimeout(check, bad.length ? WORRIED : CALM);
  }

  document.addEventListener("visibilitychange", check);
  addEventListener("online", check);
  addEventListener("skirmish:trouble", check); // somebody else has noticed that something is wrong
  check();
}

/** Returns the health of every service, and that of the gateway. */
async function ask() {
  try {
    const response = await fetch("/heartbeat", { signal: AbortSignal.timeout(4000), cache: "no-store" });
    const { services } = await response.json(); // it says the same with 200 and with 503
    return { ...services, gateway: "SERVING" };
  } catch {
    return { gateway: "UNREACHABLE" };
  }
}

function sentences(services, bad) {
  if (services.gateway !== "SERVING") {
    return ["The gateway can't be reached. What you see may be old; it is tried again all the time."];
  }
  return bad.map(away);
}

function show(strip, notice, services, bad) {
  const lamps = ["gateway", ...SERVICES].map((name) => {
    const status = services[name] ?? "UNKNOWN";
    const well = status === "SERVING";
    const lamp = well ? "lamp lamp-well" : status === "UNKNOWN" ? "lamp" : "lamp lamp-bad";
    const word = well ? "up" : status === "UNKNOWN" ? "unknown" : "down";
    return h("li", { title: status }, h("span", { class: lamp, "aria-hidden": "true" }), `${name} `, h("b", {}, word));
  });
  put(strip, h("ul", { class: "lamps" }, lamps));
  const told = sentences(services, bad);
  notice.hidden = !bad.length;
  put(notice, icon("broken"), h("div", {}, told.map((sentence) => h("p", {}, sentence))));
}
