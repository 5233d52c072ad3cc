// The address bar is the page's memory: #i=123 or #view=confusions&true=3&said=5 can be sent to somebody.

const NUMBERS = ["i", "run", "group", "true", "said"];
const WORDS = ["view", "split", "q", "layers", "pair", "sort", "sure", "marked", "versus"];

/** No filter at all: what a link to a picture begins with, so that it does not inherit the filter of another place. */
export const UNFILTERED = { group: null, true: null, said: null, pair: null, q: null, layers: null, sort: null, sure: null, marked: null, versus: null };

/** What the address asks for; a missing entry is null. A picture without a view means the gallery. */
export function readAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const state = {};
  for (const name of WORDS) state[name] = asked.get(name);
  for (const name of NUMBERS) {
    const text = asked.get(name);
    state[name] = text != null && /^\d{1,9}$/.test(text) ? Number(text) : null;
  }
  if (state.view == null && state.i != null) state.view = "gallery";
  return state;
}

/** The hash for a state; entries that are null are left out, as is the view where the picture implies it. */
export function hashOf(state) {
  const parts = new URLSearchParams();
  for (const name of [...WORDS, ...NUMBERS]) {
    if (state[name] == null || state[name] === "") continue;
    if (name === "view" && state.view === "gallery" && state.i != null) continue;
    parts.set(name, state[name]);
  }
  return `#${parts}`;
}
