// The gallery (the line-up): one picture after another, what was said of it, and how sure.

import { UNFILTERED } from "./address.js";
import { answersCsv, save } from "./csv.js";
import { filterRows, readPair, readRange, SORTS, sortOf } from "./data.js";
import { h, replace, unseen } from "./dom.js";
import { filters } from "./filters.js";
import { pictureGrid } from "./grid.js";
import { LAYERS, spotlight } from "./heatmaps.js";
import { markButtons, markOfKey, markTray, signOf } from "./marking.js";
import { KINDS } from "./marks.js";
import { enlargeable, magnifiable } from "./original.js";
import { picture } from "./pictures.js";
import { OUTCOMES, readVersus } from "./versus.js";
import { asideOn, count, noteOn, percent, plural } from "./words.js";

const TITLE = ["Gallery", " the line-up: every picture, what its label says and what the network says"];

/** `title`: a heading and what stands beside it. */
export function gallery(context, title = TITLE) {
  const { answers, go, layerViews, marks } = context;
  const { classes } = answers;
  let state = {};
  let rows = [];
  let current = null;

  const grid = pictureGrid({
    label: "Pictures that fit the filter",
    answers,
    onPick: (row) => {
      go({ i: answers.ids[row] });
      if (suspect.getBoundingClientRect().top < 0) suspect.scrollIntoView(); // on a phone it stands above the grid
    },
    describe: (row) => sentence(answers, row, marks.of(answers, row)),
    signOf: (row) => signOf(marks.of(answers, row)),
  });
  const controls = filters(answers, layerViews, (changes, options) => go({ ...changes, i: null }, options));
  const found = h("p", { class: "found", role: "status" });
  const suspect = h("article", { class: "suspect" });
  const told = unseen("");
  told.setAttribute("aria-live", "polite"); // one sentence for each picture, not all that stands beside it
  const tray = markTray({ marks, go, state: () => state });
  const element = h(
    "section",
    { class: "gallery" },
    h("h2", {}, title[0], h("span", { class: "soft" }, title[1])),
    controls.element,
    h(
      "div",
      { class: "gallery-columns" },
      h(
        "div",
        { class: "gallery-grid" },
        found,
        grid.element,
        tray.element,
        h("button", { type: "button", class: "link", onclick: () => save(`answers-${answers.split}.csv`, answersCsv(answers)) }, "Save all answers as a table (.csv)"),
      ),
      suspect,
    ),
    told,
  );

  const show = (row) => {
    current = row;
    grid.select(row);
    if (row == null) {
      replace(suspect, h("p", { class: "empty" }, "No picture fits. Loosen the filter, or clear the search."));
      return;
    }
    replace(told, sentence(answers, row, marks.of(answers, row)));
    const step = (by) => () => move(by);
    keepFocus(suspect, () =>
      replace(
        suspect,
        h("div", {}, portrait(context, row, step, rows.indexOf(row), rows.length), markButtons(context, row, (kind, right) => marks.set(answers, row, kind, right))),
        h(
          "div",
          { class: "testimony" },
          verdict(answers, row),
          otherRuns(context, row),
          bars(answers, row),
          notes(answers, row),
          answers.alike ? likest(answers, row) : looks(answers, row, layerViews, go),
        ),
      ),
    );
  };

  const move = (by) => {
    const row = grid.step(by);
    if (row != null && row !== current) go({ i: answers.ids[row] }, { quiet: true });
  };
  marks.listen(() => {
    tray.update();
    if (!element.isConnected) return;
    grid.refresh();
    if (current != null) show(current);
  });

  return {
    element,
    /** The id of the picture shown, which stays when the run changes. */
    shown: () => (current == null ? null : answers.ids[current]),
    update(next) {
      const wanted = filterRows(answers, {
        group: next.group,
        label: next.true,
        said: next.said,
        pair: readPair(next.pair, classes),
        sure: readRange(next.sure),
        query: next.q,
        among: amongOf(context, next),
        sort: sortOf(next),
      });
      const changed = wanted.length !== rows.length || wanted.some((row, at) => row !== rows[at]);
      state = next;
      if (changed) {
        rows = wanted;
        grid.show(rows);
      }
      controls.update(state);
      tray.update();
      const asked = answers.rowOf.get(state.i);
      const unknown = state.i != null && asked == null;
      replace(found, unknown ? `Picture ${state.i} is not in this page. ` : "", `${plural(rows.length, `${answers.split} picture`)}, ${orderOf(answers, state)}${against(context, state)}`);
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
      const mark = current == null ? null : markOfKey(answers, current, event.key);
      if (!mark) return false;
      marks.set(answers, current, mark.kind, mark.right);
      move(1);
      return true;
    },
  };
}

/** Whether a row may be shown at all: with layer views, marked, or one on which two runs differ; null where nothing is asked. */
function amongOf(context, { layers, marked, versus }) {
  const { answers, layerViews, marks } = context;
  const tests = [];
  if (layers) tests.push((row) => layerViews?.rows.has(row) ?? false);
  if (marked) tests.push((row) => (KINDS.includes(marked) ? marks.of(answers, row)?.kind === marked : marks.of(answers, row) !== null));
  const compared = readVersus(versus, context.runs);
  if (compared) {
    const before = context.answersOf(compared.run);
    tests.push((row) => OUTCOMES[compared.outcome].test(before, answers, row));
  }
  return tests.length ? (row) => tests.every((test) => test(row)) : null;
}

/** What the filter by two runs says. */
function against({ page, runs, answers }, { versus }) {
  const compared = readVersus(versus, runs);
  if (!compared) return "";
  const before = page.runs[compared.run].name;
  return { fixed: `: wrong in ${before}, right in ${answers.run.name}`, broken: `: right in ${before}, wrong in ${answers.run.name}`, both: `: wrong in ${before} and in ${answers.run.name}` }[compared.outcome];
}

/** What the other runs of the page say of the same picture. */
function otherRuns({ runs, run, page, answersOf }, row) {
  const others = runs.filter((number) => number !== run).slice(0, 5);
  if (!others.length) return null;
  return h(
    "ul",
    { class: "other-runs" },
    others.map((number) => {
      const other = answersOf(number);
      const right = other.right(row);
      return h("li", { class: right ? "right" : "wrong" }, h("span", { class: "small" }, `${page.runs[number].name}: `), `${right ? "✓" : "✗"} ${other.classes[other.top(row, 0)]}, ${percent(other.confidence(row), 0)}`);
    }),
  );
}

/** Draw anew, and give the focus back to the control of the same name: else it would fall to the page. */
function keepFocus(place, redraw) {
  const focused = place.contains(document.activeElement) ? document.activeElement : null;
  const name = focused && (focused.getAttribute("aria-label") ?? focused.textContent);
  redraw();
  if (focused) [...place.querySelectorAll("button, select")].find((each) => (each.getAttribute("aria-label") ?? each.textContent) === name)?.focus();
}

/** One picture in one sentence. */
function sentence(answers, row, mark = null) {
  const [label, said] = [answers.classes[answers.labels[row]], answers.classes[answers.top(row, 0)]];
  const sure = percent(answers.confidence(row), 0);
  const marked = mark ? `; marked ${mark.kind}${mark.kind === "wrong" ? `: ${mark.new}` : ""}` : "";
  return `${answers.right(row) ? `${label}, recognised, ${sure}` : `${label}, taken for ${said}, ${sure}`}${marked}`;
}

function orderOf(answers, state) {
  const sort = sortOf(state);
  return sort === "telling" && state.group != null ? answers.groups[state.group].order : SORTS[sort].order;
}

/** The picture's name, which one click copies. */
function nameOf(answers, row) {
  const name = answers.name(row);
  if (!answers.named) return null;
  const button = h("button", { type: "button", class: "file-name", title: "Copy the name" }, h("code", {}, name));
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(name);
      button.dataset.told = "copied";
    } catch {
      getSelection().selectAllChildren(button); // a page opened from a disk may not write the clipboard
      button.dataset.told = "selected";
    }
  });
  return button;
}

function portrait(context, row, step, at, of) {
  const { answers } = context;
  return h(
    "figure",
    { class: "portrait" },
    enlargeable(context, row, sentence(answers, row)),
    nameOf(answers, row),
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
      h("span", { class: "small" }, answers.alike ? "It looks like" : "The network says"),
      h("strong", {}, answers.classes[answers.top(row, 0)]),
      h("span", { class: "badge" }, right ? "✓ right" : answers.alike ? "≠ label" : "✗ wrong", `, ${percent(answers.confidence(row), 0)} sure`),
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

/** The pictures that look most like a doubted one, each with its label. */
function likest(answers, row) {
  const { classes } = answers;
  return h(
    "div",
    { class: "looks" },
    h("h3", {}, "Most alike, with their labels"),
    h(
      "div",
      { class: "looks-row" },
      answers.alike(row).map(([tile, label]) => h("figure", {}, picture("alike", tile, ""), h("figcaption", {}, classes[label]))),
    ),
  );
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
      h("figure", {}, picture(answers.sprite, row, ""), h("figcaption", {}, "Plain")),
      cam.maps.map((map, at) => {
        const name = LAYERS[layerViews.layers[at].key];
        return h("figure", {}, magnifiable(() => spotlight(answers.sprite, row, map, `${name} layer: where the evidence lies`), `${name} layer: where the evidence lies`), h("figcaption", {}, name));
      }),
    ),
    h("button", { type: "button", class: "link", onclick: () => go({ view: "inside", i: answers.ids[row] }) }, "Layer views →"),
  );
}
