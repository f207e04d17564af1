// How numbers and times are written. 64-bit numbers come as strings and may be larger than a Number holds exactly.

import { h } from "./dom.js";

const plain = new Intl.NumberFormat("en");
const signed = new Intl.NumberFormat("en", { signDisplay: "exceptZero" });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const ordinals = new Intl.PluralRules("en", { type: "ordinal" });
const moment = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const hour = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "long" });
const SUFFIXES = { one: "st", two: "nd", few: "rd", other: "th" };

/** 1234567 → "1,234,567" */
export const number = (value) => plain.format(typeof value === "string" ? BigInt(value) : value);

/** 120 → "+120", -120 → "-120", 0 → "0" */
export const change = (value) => signed.format(value).replace("-", "−");

/** 123456 → "123,456", 1234567 → "1.23M" */
export const compact = (value) => (value < 1_000_000 ? plain : short).format(value);

/** 22 → "22nd" */
export const ordinal = (value) => number(value) + SUFFIXES[ordinals.select(Number(value))];

/** (1, "player") → "1 player", (2, "player") → "2 players" */
export const count = (value, noun) => `${number(value)} ${noun}${Number(value) === 1 ? "" : "s"}`;

/** 1889 basis points → "18.89%" */
export const share = (basisPoints) => `${(basisPoints / 100).toFixed(2)}%`;

/** "2026-11-22T…" → "22 November 2026" */
export const date = (time) => day.format(new Date(time));

/** A Date → "19:52:07" */
export const clock = (time) => hour.format(time);

/** Milliseconds → "2 d 3 h", "4 h 12 min", "3 min", "20 s" */
export function duration(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  const [minutes, hours, days] = [60, 3600, 86400].map((unit) => Math.floor(seconds / unit));
  if (days) return `${days} d ${hours % 24} h`;
  if (hours) return `${hours} h ${minutes % 60} min`;
  return minutes ? `${minutes} min` : `${seconds} s`;
}

/** A time as "3 min ago", kept right by `keepTimes`, with the whole of it on hover. */
export function ago(time) {
  const element = h("time", { datetime: time, "data-ago": true, title: moment.format(new Date(time)) });
  element.textContent = since(time);
  return element;
}

function since(time) {
  const past = Date.now() - new Date(time);
  return past < 5000 ? "just now" : `${duration(past)} ago`;
}

/** Keeps every `ago` on the page right. */
export function keepTimes() {
  setInterval(() => {
    if (document.hidden) return;
    for (const element of document.querySelectorAll("time[data-ago]")) element.textContent = since(element.dateTime);
  }, 5000);
}
