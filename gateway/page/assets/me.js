// The player that this browser plays. It is remembered here and nowhere else.

const KEY = "skirmish.player";
const changes = new EventTarget();
let own = read();

function read() {
  try {
    return JSON.parse(localStorage.getItem(KEY));
  } catch {
    return null; // storage is off, or holds something else
  }
}

/** The player as {player_id, name}, or null. */
export const me = () => own;

/** Whether an id is this browser's player. */
export const isMe = (id) => own?.player_id === id;

/** Plays somebody from now on; null for nobody. */
export function play(player) {
  own = player && { player_id: player.player_id, name: player.name };
  try {
    if (own) localStorage.setItem(KEY, JSON.stringify(own));
    else localStorage.removeItem(KEY);
  } catch {
    // Without storage it lasts as long as the page.
  }
  changes.dispatchEvent(new Event("change"));
}

/** Calls back when it becomes another player, in another tab too. */
export function onMeChange(run, signal) {
  changes.addEventListener("change", run, { signal });
}

addEventListener("storage", (event) => {
  if (event.key !== KEY) return;
  own = read();
  changes.dispatchEvent(new Event("change"));
});
