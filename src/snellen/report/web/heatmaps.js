// Maps over pictures: where the evidence for a class lies, lit; the rest in shade. No colours to be told apart.

import { unpack } from "./data.js";
import { h } from "./dom.js";
import { levels, picture } from "./pictures.js";

const SHADE = [14, 18, 24];
const DARKEST = 170; // of 255: what is in the shade can still be made out

/** A picture lit where a map is high. `label` is what a screen reader says. */
export function spotlight(sprite, row, map, label) {
  const bytes = unpack(map);
  const shade = levels({ shape: map.shape, bytes }, (level) => [...SHADE, Math.round(DARKEST * (1 - Math.sqrt(level / 255)))]);
  shade.classList.add("shade");
  return h("span", { class: "spotlight", role: "img", "aria-label": label }, picture(sprite, row, ""), shade);
}

/** One channel's map by itself: dark where it is silent, light where it answers. */
export function channelMap(map, label) {
  return levels({ shape: map.shape, bytes: unpack(map) }, (level) => warmth(level / 255), label);
}

/** The names of the three layers for people. */
export const LAYERS = {
  early: "Early",
  middle: "Middle",
  late: "Late",
  last: "Last",
};

/** From night blue over orange to pale yellow, lightness rising all the way: readable in grey as well. */
function warmth(x) {
  const stops = [
    [16, 20, 38],
    [88, 44, 92],
    [190, 74, 62],
    [240, 158, 70],
    [252, 238, 190],
  ];
  const at = Math.min(stops.length - 1.001, x * (stops.length - 1));
  const [from, to] = [stops[Math.floor(at)], stops[Math.floor(at) + 1]];
  return [...from.map((value, channel) => Math.round(value + (to[channel] - value) * (at % 1))), 255];
}
