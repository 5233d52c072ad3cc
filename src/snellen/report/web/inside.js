// Layer views, or three pairs of glasses: what an early, a middle and a late layer see.

import { UNFILTERED } from "./address.js";
import { h, replace } from "./dom.js";
import { channelMap, LAYERS, spotlight } from "./heatmaps.js";
import { magnifiable } from "./original.js";
import { hasSheet, picture, sheetCount, tileSize } from "./pictures.js";
import { count, percent, plural } from "./words.js";

const SMALL = 10; // pixels; patches up to this side can be seen at half the size

/** What the page knows about the insides of this run on this split, by row; null where it knows nothing. */
export function layerViewsOf(page, split, run) {
  const { layer_views: found } = page;
  if (!found || found.split !== split || String(found.run) !== String(run)) return null;
  const by = new Map(found.pictures.map((seen) => [seen.row, seen]));
  return { ...found, seen: found.pictures, rows: new Set(by.keys()), of: (row) => by.get(row) ?? null };
}

export function inside({ answers, go, layerViews }) {
  const chosen = h("div", { class: "examined", "aria-live": "polite" });
  const row = h(
    "div",
    { class: "strip chooser", role: "group", "aria-label": "Pictures with layer views" },
    layerViews.seen.map((seen) => {
      const said = answers.classes[answers.top(seen.row, 0)];
      const text = `${answers.classes[answers.labels[seen.row]]}, called ${said}`;
      return h("button", { type: "button", "data-row": seen.row, title: text, "aria-label": text, class: answers.right(seen.row) ? "" : "is-wrong", onclick: () => go({ view: "inside", i: answers.ids[seen.row] }, { quiet: true }) }, picture(answers.sprite, seen.row, ""));
    }),
  );
  const element = h(
    "section",
    { class: "inside" },
    h("h2", {}, "Layer views"),
    h("p", { class: "soft" }, `Three pairs of glasses: the same picture at an early, a middle and a late layer of ${answers.run.recipe.model}. Choose one of ${plural(layerViews.seen.length, "picture")}, taken in turn from the four confidence groups, mistakes first.`),
    row,
    chosen,
    h("h2", {}, "What excites a channel most"),
    h("p", { class: "soft" }, `Cut from the ${count(layerViews.learned_count)} training pictures looked at, where the channel answers loudest. A patch is as large as the square that holds 90 % of what moves the unit.`),
    firstLayerCard(),
    layerViews.layers.map((layer) => filtersCard(layer, answers.classes)),
  );
  return {
    element,
    update(state) {
      const asked = answers.rowOf.get(state.i);
      const seen = layerViews.of(asked) ?? layerViews.seen[0];
      for (const button of row.children) {
        const current = Number(button.dataset.row) === seen.row;
        button.setAttribute("aria-pressed", current);
        if (current) row.scrollLeft = button.offsetLeft - row.clientWidth / 2;
      }
      replace(chosen, asked != null && !layerViews.of(asked) ? h("p", { class: "empty" }, `Picture ${state.i} has no layer views; this is another one.`) : null, examine(answers, layerViews, seen, go));
    },
    key(event) {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return false;
      const at = [...row.children].findIndex((button) => button.getAttribute("aria-pressed") === "true");
      row.children[Math.min(row.children.length - 1, Math.max(0, at + by))].click();
      return true;
    },
  };
}

function examine(answers, layerViews, seen, go) {
  const { classes } = answers;
  const [label, said] = [answers.labels[seen.row], answers.top(seen.row, 0)];
  return h(
    "article",
    { class: "layer-views" },
    h(
      "header",
      {},
      picture(answers.sprite, seen.row, `${classes[label]}, called ${classes[said]}`, "large"),
      h(
        "div",
        {},
        h("p", {}, h("span", { class: "small" }, "The label says"), h("strong", {}, classes[label])),
        h("p", { class: label === said ? "right" : "wrong" }, h("span", { class: "small" }, "The network says"), h("strong", {}, `${classes[said]}, ${percent(answers.confidence(seen.row), 0)}`)),
        h("button", { type: "button", class: "link", onclick: () => go({ ...UNFILTERED, view: "gallery", i: answers.ids[seen.row] }) }, "In the gallery →"),
      ),
    ),
    h(
      "div",
      { class: "layers" },
      layerCards({ classes, seen, sprite: answers.sprite, learned: "learned", layers: layerViews.layers, awaited: label, says: "the label" }),
    ),
  );
}

/**
 * One card per layer of what was seen of one picture: maps and nearest training pictures; without maps one card for the last layer.
 * @param options.seen {row, cams, activations, neighbours}; `sprite` and `learned` are the sheets of it and of the neighbours
 * @param options.awaited the class the neighbours are compared with, because `says` (as in "the label") says so
 */
export function layerCards({ classes, seen, sprite, learned, layers, awaited, says }) {
  const near = (space) => neighbours(classes, seen.neighbours[Math.min(space, seen.neighbours.length - 1)], { learned, awaited, says });
  if (!layers.length) return [h("section", { class: "card" }, near(0))];
  return layers.map((layer, at) =>
    h(
      "section",
      { class: "card layer" },
      h("h3", {}, LAYERS[layer.key], h("span", { class: "soft" }, ` ${layer.path}, ${layer.map.join("×")}`)),
      h("h4", {}, "Where the evidence lies (Grad-CAM)"),
      h(
        "div",
        { class: "cams" },
        h("figure", {}, picture(sprite, seen.row, ""), h("figcaption", {}, "the picture")),
        seen.cams.map((cam) => h("figure", {}, magnifiable(() => spotlight(sprite, seen.row, cam.maps[at], `Grad-CAM for ${classes[cam.class]}`), `${LAYERS[layer.key]} layer, what speaks for ${classes[cam.class]}`), h("figcaption", {}, `for ${classes[cam.class]}`))),
      ),
      h("h4", {}, "Its liveliest channels here"),
      h("div", { class: "maps" }, seen.activations[at].map((map) => h("figure", {}, channelMap(map, `Channel ${map.channel}`), h("figcaption", {}, map.channel)))),
      near(at),
    ),
  );
}

function neighbours(classes, near, { learned, awaited, says }) {
  const same = near.filter(([, other]) => other === awaited).length;
  return [
    h("h4", {}, "Nearest training pictures"),
    h(
      "div",
      { class: "near" },
      near.map(([tile, other, similarity]) =>
        h("figure", { class: other === awaited ? "" : "is-wrong" }, magnifiable(() => picture(learned, tile, `${classes[other]}, similarity ${similarity.toFixed(2)}`), `${classes[other]}, similarity ${similarity.toFixed(2)}`), h("figcaption", {}, classes[other])),
      ),
    ),
    h("p", { class: "small" }, `${same} of ${near.length} are ${classes[awaited]}, as ${says} says`),
  ];
}

function firstLayerCard() {
  if (!hasSheet("filters")) return null;
  const [height] = tileSize("filters");
  const total = sheetCount("filters");
  return h(
    "section",
    { class: "card" },
    h("h3", {}, "First layer", h("span", { class: "soft" }, ` ${plural(total, "filter")} of ${height}×${height} pixels, mid-grey is 0`)),
    h("div", { class: "filter-grid" }, Array.from({ length: total }, (_, at) => picture("filters", at, ""))),
  );
}

function filtersCard(layer, classes) {
  const sheet = `patches-${layer.key}`;
  if (!hasSheet(sheet)) return null;
  let tile = 0;
  return h(
    "section",
    { class: "card" },
    h("h3", {}, LAYERS[layer.key], h("span", { class: "soft" }, ` ${layer.path}: ${layer.units.length} of ${plural(layer.channels, "channel")}, patches of ${layer.side}×${layer.side} pixels`)),
    h(
      "div",
      { class: layer.side > SMALL ? "units" : "units small" },
      layer.units.map((unit) =>
        h(
          "figure",
          { class: "unit" },
          h("div", { class: "patches" }, unit.labels.map((label) => picture(sheet, tile++, classes[label]))),
          h("figcaption", {}, h("b", {}, `channel ${unit.channel}`), ` ${mostly(unit.labels, classes)}`),
        ),
      ),
    ),
  );
}

/** "6 of 9 are cat" where one class has the majority, else how many classes there are. */
function mostly(labels, classes) {
  const tally = new Map();
  for (const label of labels) tally.set(label, (tally.get(label) ?? 0) + 1);
  const [top, n] = [...tally].reduce((best, entry) => (entry[1] > best[1] ? entry : best), [0, 0]);
  return n > labels.length / 2 ? `${n} of ${labels.length} are ${classes[top]}` : `${tally.size} classes`;
}
