// A coat of arms for every name: always the same, mostly unlike any other, so that a player is known at a glance.
//
// Heraldry's rules make it good to look at. One metal and one colour, since colour on colour can't be told apart. The
// field is divided, and a charge lies on it "counterchanged": metal on colour, and colour on metal. The last is a
// single path: where division and charge overlap, the even-odd rule leaves the field's own tincture.

import { svg } from "./dom.js";

const SHIELD = "M5 5H95V58C95 88 76 106 50 117C24 106 5 88 5 58Z";
const METALS = ["#e6b73f", "#f3efe4"]; // or, argent
const COLOURS = ["#b1283c", "#24588f", "#2c6b48", "#6b4187", "#2c2b35", "#b65d27", "#1f7280", "#7d2438"];

const DIVISIONS = [
  "", // plain
  "M50 0H100V120H50Z", // per pale
  "M0 56H100V120H0Z", // per fess
  "M0 0H100V112Z", // per bend
  "M100 0V120H0V112Z", // per bend sinister
  "M50 0H100V56H50ZM0 56H50V120H0Z", // quarterly
  "M0 0L50 56L0 112ZM100 0L50 56L100 112Z", // per saltire
  "M0 120V98L50 46L100 98V120Z", // per chevron
  "M18 0H34V120H18ZM50 0H66V120H50ZM82 0H100V120H82Z", // paly
  "M0 18H100V35H0ZM0 52H100V69H0ZM0 86H100V103H0Z", // barry
  "M0 0H24L100 84V112ZM48 0H76L100 26V56ZM0 28L100 140H72L0 58Z", // bendy
  "M8 0H92L50 98Z", // a pile
  "M0 50L12 62L25 50L38 62L50 50L62 62L75 50L88 62L100 50V120H0Z", // per fess indented
  "M0 0H100V34H0Z", // a chief
];

const CHARGES = [
  "M50 22L58 46H83L63 60L71 84L50 69L29 84L37 60L17 46H42Z", // mullet
  "M50 30A26 26 0 1 1 49.9 30Z", // roundel
  "M50 18L74 56L50 94L26 56Z", // lozenge
  "M50 28A28 28 0 1 1 49.9 28ZM50 42A14 14 0 1 0 50.1 42Z", // annulet
  "M62 27A30 30 0 1 0 80 64A23 23 0 1 1 62 27Z", // crescent
  "M42 26H58V48H80V64H58V88H42V64H20V48H42Z", // cross
  "M32 88V50H26V28H37V37H44.5V28H55.5V37H63V28H74V50H68V88H56V72A6 6 0 0 0 44 72V88Z", // tower
  "M50 16L55 24V62H70V69H55V78A7 7 0 1 1 45 78V69H30V62H45V24Z", // sword
  "M50 92C20 70 22 34 40 34Q48 34 50 44Q52 34 60 34C78 34 80 70 50 92Z", // heart
  "M50 20L57 38L74 31L68 49L86 56L68 63L74 81L57 74L50 92L43 74L26 81L32 63L14 56L32 49L26 31L43 38Z", // sun
  "M0 90V72L50 24L100 72V90L50 44Z", // chevron
  "M0 0H14L50 43L86 0H100V14L62 56L100 100V116H86L50 70L14 116H0V100L38 56L0 14Z", // saltire
  "M0 0H20L100 92V114Z", // bend
  "M0 0H100V120H0ZM16 16V58C16 82 30 96 50 105C70 96 84 82 84 58V16Z", // bordure
];

/** Draws the arms of a name; without a name, the blank shield of somebody unknown. */
export function arms(name) {
  const children = name ? emblazon(name) : [svg("path", { d: SHIELD, class: "arms-blank" })];
  return svg(
    "svg",
    { class: "arms", viewBox: "0 0 100 120", "aria-hidden": "true", focusable: "false" },
    svg("g", { "clip-path": "url(#shield)" }, children),
    svg("path", { d: SHIELD, class: "arms-edge" }),
  );
}

function emblazon(name) {
  const draw = dice(name);
  const tinctures = [METALS[draw(METALS.length)], COLOURS[draw(COLOURS.length)]];
  if (draw(2)) tinctures.reverse();
  const division = DIVISIONS[draw(DIVISIONS.length)];
  // Stripes are enough by themselves now and then; a plain field never is.
  const charge = division && !draw(4) ? "" : CHARGES[draw(CHARGES.length)];
  return [
    svg("rect", { width: 100, height: 120, fill: tinctures[0] }),
    svg("path", { d: division + charge, fill: tinctures[1], "fill-rule": "evenodd" }),
  ];
}

/** Returns a source of draws below a bound that only the text decides: FNV-1a for a seed, then mulberry32. */
function dice(text) {
  let state = 0x811c9dc5;
  for (const character of text) state = Math.imul(state ^ character.codePointAt(0), 0x01000193);
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}
