// Who is behind an id. Names never change, so what is known once is never asked for again.

import { get } from "./api.js";
import { arms } from "./arms.js";
import { h } from "./dom.js";

const names = new Map(); // id → name, or null for a player that is no longer there

/** Notes the names of players that were got anyway. */
export function remember(players) {
  for (const player of players) names.set(player.player_id, player.name);
  return players;
}

/**
 * Asks for the names that are not known yet, in one call. When the players can't be reached that is no reason to show
 * nothing: their places go without a name until the next call.
 */
export async function learn(ids, signal) {
  const unknown = [...new Set(ids)].filter((id) => id && !names.has(id));
  if (!unknown.length) return;
  try {
    const answer = await get("/v1/players:batchGet", { player_ids: unknown, allow_missing: true }, signal);
    remember(answer.players);
    for (const id of unknown) if (!names.has(id)) names.set(id, null);
  } catch (error) {
    if (signal?.aborted) throw error;
  }
}

/** Gets a player as it is now, or null when there is none. */
export async function getPlayer(id, signal) {
  const answer = await get("/v1/players:batchGet", { player_ids: [id], allow_missing: true }, signal);
  return remember(answer.players)[0] ?? null;
}

/** Lists players whose name begins with a text, in either case of its first letter. */
export async function findPlayers(text, signal) {
  const [first = "", ...rest] = text.normalize("NFC").trimStart();
  const tail = rest.join("");
  const prefixes = new Set([first + tail, first.toUpperCase() + tail, first.toLowerCase() + tail]);
  const list = (prefix) => get("/v1/players", { name_prefix: prefix, page_size: 8 }, signal);
  const pages = await Promise.all([...prefixes].map(list));
  const found = new Map(pages.flatMap((page) => remember(page.players)).map((player) => [player.player_id, player]));
  return [...found.values()].slice(0, 8);
}

/** The name of a player for sentences; `learn` it before. */
export function nameOf(id) {
  if (names.get(id)) return names.get(id);
  return names.has(id) ? "somebody who left" : "somebody";
}

/** A name on its own, kept apart from the direction of the text around it. */
export function nameText(id) {
  return h("bdi", { class: names.get(id) ? "name" : "name nameless" }, nameOf(id));
}

/** The arms of a player, by id. */
export const armsOf = (id) => arms(names.get(id));
