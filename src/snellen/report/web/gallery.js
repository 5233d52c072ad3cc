// The gallery (the line-up): one picture after another, what was said of it, and how sure.

import { UNFILTERED } from "./address.js";
import { filterRows, readPair } from "./data.js";
import { h, replace, unseen } from "./dom.js";
import { filters } from "./filters.js";
import { pictureGrid } from "./grid.js";
import { LAYERS, spotlight } from "./heatmaps.js";
import { picture } from "./pictures.js";
import { asideOn, count, noteOn, percent, plural } from "./words.js";

export function gallery({ answers, go, layerViews }) {
  const { classes } = answers;
  let state = {};
  let rows = [];
  let current = null;

  const grid = pictureGrid({
    label: "Pictures that fit the filter",
    answers,
    onPick: (row) => go({ i: answers.ids[row] }),
    describe: (row) => sentence(answers, row),
  });
  const controls = filters(answers, layerViews, (changes) => go({ ...changes, i: null }));
  const found = h("p", { class: "found", role: "status" });
  const suspect = h("article", { class: "suspect", "aria-live": "polite" });
  const element = h(
    "section",
    { class: "gallery" },
    h("h2", { class: "unseen" }, "Gallery, the line-up"),
    controls.element,
    h("div", { class: "gallery-columns" }, h("div", { class: "gallery-grid" }, found, grid.element), suspect),
  );

  const show = (row) => {
    current = row;
    grid.select(row);
    if (row == null) {
      replace(suspect, h("p", { class: "empty" }, "No picture fits. Loosen the filter, or clear the search."));
      return;
    }
    const step = (by) => () => move(by);
    replace(
      suspect,
      portrait(answers, row, step, rows.indexOf(row), rows.length),
      h("div", { class: "testimony" }, verdict(answers, row), bars(answers, row), notes(answers, row), looks(answers, row, layerViews, go)),
    );
  };

  const move = (by) => {
    const row = grid.step(by);
    if (row != null && row !== current) go({ i: answers.ids[row] }, { quiet: true });
  };

  return {
    element,
    update(next) {
      const wanted = filterRows(answers, {
        group: next.group,
        label: next.true,
        said: next.said,
        pair: readPair(next.pair, classes),
        query: next.q,
        among: next.layers ? layerViews.rows : null,
      });
      const changed = wanted.length !== rows.length || wanted.some((row, at) => row !== rows[at]);
      state = next;
      if (changed) {
        rows = wanted;
        grid.show(rows);
      }
      controls.update(state);
      const asked = answers.rowOf.get(state.i);
      const unknown = state.i != null && asked == null;
      replace(found, unknown ? `Picture ${state.i} is not in this page. ` : "", `${plural(rows.length, `${answers.split} picture`)}, ${orderOf(answers, state)}`);
      show(asked ?? (rows.includes(current) ? current : (rows[0] ?? null)));
    },
    key(event) {
      const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -grid.columns(), ArrowDown: grid.columns(), Home: -rows.length, End: rows.length };
      if (event.key in by) {
        move(by[event.key]);
        return true;
      }
      if (event.key === "/") {
        controls.search.focus();
        controls.search.select();
        return true;
      }
      return false;
    },
  };
}

/** One picture in one sentence. */
function sentence(answers, row) {
  const [label, said] = [answers.classes[answers.labels[row]], answers.classes[answers.top(row, 0)]];
  const sure = percent(answers.confidence(row), 0);
  return answers.right(row) ? `${label}, recognised, ${sure}` : `${label}, taken for ${said}, ${sure}`;
}

function orderOf(answers, state) {
  return state.group == null ? "the most telling mistakes first" : answers.groups[state.group].order;
}

function portrait(answers, row, step, at, of) {
  return h(
    "figure",
    { class: "portrait" },
    picture(answers.sprite, row, sentence(answers, row), "large"),
    h(
      "figcaption",
      {},
      h("button", { type: "button", class: "round", "aria-label": "Previous picture", onclick: step(-1) }, "←"),
      h("span", {}, h("b", {}, `#${answers.ids[row]}`), at < 0 ? " outside the filter" : ` ${count(at + 1)} of ${count(of)}`),
      h("button", { type: "button", class: "round", "aria-label": "Next picture", onclick: step(1) }, "→"),
    ),
  );
}

function verdict(answers, row) {
  const right = answers.right(row);
  return h(
    "header",
    { class: "verdict" },
    h("p", { class: "is" }, h("span", { class: "small" }, "The label says"), h("strong", {}, answers.classes[answers.labels[row]])),
    h(
      "p",
      { class: right ? "says right" : "says wrong" },
      h("span", { class: "small" }, "The network says"),
      h("strong", {}, answers.classes[answers.top(row, 0)]),
      h("span", { class: "badge" }, right ? "✓ right" : "✗ wrong", `, ${percent(answers.confidence(row), 0)} sure`),
    ),
  );
}

function bars(answers, row) {
  const label = answers.labels[row];
  return h(
    "ol",
    { class: "bars", "aria-label": `The ${answers.topCount} most probable classes` },
    Array.from({ length: answers.topCount }, (_, rank) => {
      const [named, probability] = [answers.top(row, rank), answers.probability(row, rank)];
      const kind = named === label ? "right" : rank === 0 ? "wrong" : "";
      return h(
        "li",
        { class: kind },
        h("span", { class: "name" }, answers.classes[named], named === label ? unseen(" (the label)") : null),
        h("span", { class: "track", "aria-hidden": "true" }, h("span", { class: "fill", style: { width: `${100 * probability}%` } })),
        h("span", { class: "value" }, percent(probability)),
      );
    }),
  );
}

function notes(answers, row) {
  const aside = asideOn(answers, row);
  return h("div", { class: "notes" }, h("p", { class: "note" }, noteOn(answers, row)), aside ? h("p", { class: "aside" }, aside) : null);
}

function looks(answers, row, layerViews, go) {
  if (!layerViews) return null;
  const seen = layerViews.of(row);
  if (!seen || !seen.cams.length) {
    return h(
      "p",
      { class: "aside" },
      `What it looks at is kept for ${plural(layerViews.rows.size, "picture")} of this page. `,
      h("button", { type: "button", class: "link", onclick: () => go({ ...UNFILTERED, layers: "1", i: null }) }, "Show those"),
    );
  }
  const [cam] = seen.cams;
  return h(
    "div",
    { class: "looks" },
    h("h3", {}, `What speaks for ${answers.classes[cam.class]}`),
    h(
      "div",
      { class: "looks-row" },
      cam.maps.map((map, at) => {
        const name = LAYERS[layerViews.layers[at].key];
        return h("figure", {}, spotlight(answers.sprite, row, map, `${name} layer: where the evidence lies`), h("figcaption", {}, name));
      }),
    ),
    h("button", { type: "button", class: "link", onclick: () => go({ view: "inside", i: answers.ids[row] }) }, "Layer views →"),
  );
}
