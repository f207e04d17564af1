// What a player may be, as protos/skirmish/player/v1/player.proto says. The server has the last word; this is for
// saying it while somebody types.

const MOST = 1_000_000_000;

/** The numbers: their least, their most, and what a server normally gives when they are left out. */
export const NUMBERS = {
  attack: { label: "Attack", least: 1, most: 10_000, usual: 70, hint: "What a hit takes off at full health." },
  hit_points: { label: "Hit points", least: 1, most: 10_000, usual: 100, hint: "What it takes to bring you down." },
  luck: { label: "Luck, percent", least: 0, most: 90, usual: 10, hint: "How often attacks on you miss." },
  gold: { label: "Gold", least: 0, most: MOST, usual: 1000, hint: "A tenth to a fifth is lost with a battle." },
  silver: { label: "Silver", least: 0, most: MOST, usual: 1000, hint: "The same share goes as of gold." },
};

export const NAME_LENGTH = 20;
export const DESCRIPTION_LENGTH = 1000;

/** How many characters a server counts: code points of the normal form. */
export const lengthOf = (text) => [...text.normalize("NFC")].length;

/** What is wrong with a name, a sentence each. */
export function nameProblems(name) {
  const problems = [];
  if (!name) return ["A name is needed."];
  if (lengthOf(name) > NAME_LENGTH) problems.push(`At most ${NAME_LENGTH} characters, not ${lengthOf(name)}.`);
  if (name !== name.trim()) problems.push("No spaces at either end.");
  if (/[\p{C}\u2028\u2029]/u.test(name)) problems.push("No control or invisible characters.");
  return problems;
}

/** What is wrong with a description. */
export function descriptionProblems(text) {
  const length = [...text].length;
  return length > DESCRIPTION_LENGTH ? [`At most ${DESCRIPTION_LENGTH} characters, not ${length}.`] : [];
}

/** What is wrong with the text of a number; nothing at all is right, and leaves it to the server. */
export function numberProblems(name, text, bad = false) {
  const { least, most } = NUMBERS[name];
  if (!text && !bad) return [];
  const value = Number(text);
  const right = !bad && Number.isInteger(value) && value >= least && value <= most;
  return right ? [] : [`A whole number from ${least.toLocaleString("en")} to ${most.toLocaleString("en")}.`];
}
