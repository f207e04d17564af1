// The times that boards stand for: days, ISO weeks and months, all in UTC.

const DAY = 86_400_000;
const LABELS = { all: "All time", monthly: "This month", weekly: "This week", daily: "Today" };

const format = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options });
const longDay = format({ weekday: "long", day: "numeric", month: "long", year: "numeric" });
const shortDay = format({ day: "numeric", month: "long" });
const month = format({ month: "long", year: "numeric" });

/** The boards there are, with the names of their links. */
export const BOARDS = Object.entries(LABELS);

/**
 * What a board stands for, or null when there is no such board.
 *
 * @param {string} board As "all", "daily" or "daily@2026-11-21".
 * @param {Date} now
 * @returns {{kind: string, heading: string, span: string, end: ?Date, before: ?string, after: ?string}} `end` while
 *     the time is running; `before` and `after` are the boards on either side.
 */
export function period(board, now = new Date()) {
  const [kind, name] = board.split("@");
  if (!LABELS[kind] || (kind === "all" && name)) return null;
  if (kind === "all") return { kind, heading: LABELS.all, span: "Since the first battle", end: null };
  const start = name ? parse(kind, name) : begin(kind, now);
  if (!start || start > now) return null;
  const current = +start === +begin(kind, now);
  const next = step(kind, start, 1);
  return {
    kind,
    heading: current ? LABELS[kind] : title(kind, start),
    span: current ? title(kind, start) : "It is over; its places are final.",
    end: current ? next : null,
    before: `${kind}@${write(kind, step(kind, start, -1))}`,
    after: current ? null : +next === +begin(kind, now) ? kind : `${kind}@${write(kind, next)}`,
  };
}

function begin(kind, time) {
  const [year, index, day] = [time.getUTCFullYear(), time.getUTCMonth(), time.getUTCDate()];
  if (kind === "monthly") return new Date(Date.UTC(year, index, 1));
  const weekday = kind === "weekly" ? (time.getUTCDay() + 6) % 7 : 0; // Monday is the first
  return new Date(Date.UTC(year, index, day - weekday));
}

function step(kind, start, count) {
  if (kind === "monthly") return new Date(Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + count, 1));
  return new Date(+start + count * (kind === "weekly" ? 7 : 1) * DAY);
}

/** The ISO year and week of a Monday: those of its Thursday. */
function isoWeek(monday) {
  const thursday = new Date(+monday + 3 * DAY);
  const year = thursday.getUTCFullYear();
  return [year, 1 + Math.floor((thursday - Date.UTC(year, 0, 1)) / (7 * DAY))];
}

function write(kind, start) {
  if (kind === "weekly") {
    const [year, week] = isoWeek(start);
    return `${year}-W${String(week).padStart(2, "0")}`;
  }
  return start.toISOString().slice(0, kind === "monthly" ? 7 : 10);
}

function parse(kind, name) {
  let start;
  if (kind === "weekly") {
    const [, year, week] = /^(\d{4})-W(\d{2})$/.exec(name) ?? [];
    // The 4th of January is always in week 1.
    start = step("weekly", begin("weekly", new Date(Date.UTC(year, 0, 4))), week - 1);
  } else {
    start = new Date(kind === "monthly" ? `${name}-01` : name);
  }
  return !Number.isNaN(+start) && write(kind, start) === name ? start : null;
}

function title(kind, start) {
  if (kind === "monthly") return month.format(start);
  if (kind === "daily") return longDay.format(start);
  const [year, week] = isoWeek(start);
  return `Week ${week} of ${year}, ${shortDay.format(start)} to ${shortDay.format(new Date(+start + 6 * DAY))}`;
}
