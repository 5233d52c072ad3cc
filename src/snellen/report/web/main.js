// The page: masthead, views, address. A view is a function (context) -> {element, update(state), key?(event)}.
// offline.js starts it as a file, live.js with the views that need a server.

import { hashOf, readAddress } from "./address.js";
import { openAnswers, readPage } from "./data.js";
import { h, replace, svg } from "./dom.js";
import { gallery } from "./gallery.js";
import { overview } from "./overview.js";
import { confusions } from "./confusions.js";
import { curves } from "./curves.js";
import { labels } from "./labels.js";
import { versus } from "./versus.js";
import { openMarks } from "./marks.js";
import { inside, layerViewsOf } from "./inside.js";
import { perClass } from "./perclass.js";
import { featureMap } from "./featuremap.js";
import { pipeline, tracesOf } from "./pipeline.js";
import { record } from "./record.js";
import { describeSheets } from "./pictures.js";
import { themeButton } from "./theme.js";
import { percent } from "./words.js";

// In the order of the menu; live views stand after the first.
const VIEWS = [
  { name: "overview", title: "Overview", make: overview },
  { name: "gallery", title: "Gallery", make: gallery },
  { name: "labels", title: "Labels", make: labels, when: ({ page }) => page.doubted?.found > 0 },
  { name: "confusions", title: "Confusions", make: confusions },
  { name: "versus", title: "Two runs", make: versus, when: (context) => context.runs.length > 1 },
  { name: "curves", title: "Curves", make: curves },
  { name: "inside", title: "Inside", make: inside, when: (context) => context.layerViews !== null },
  { name: "pipeline", title: "Pipeline", make: pipeline, when: (context) => tracesOf(context) !== null },
  { name: "classes", title: "Classes", make: perClass },
  { name: "map", title: "Map", make: featureMap, when: (context) => context.answers.geometry !== undefined },
  { name: "record", title: "Record", make: record },
];

/** Draw the page. `live`: views that only a server can answer; `original(split, id)`: where it has pictures as they lie on the disk; `colophon`: what the page does with what it is given. */
export function start({ live = [], original = null, colophon }) {
  const [first, ...others] = VIEWS;
  const views = [first, ...live, ...others];
  const page = readPage();
  describeSheets(page.sprites);
  document.title = `${page.runs[0].name} · Snellen`;
  const content = document.getElementById("content");
  const marks = openMarks(page.runs[0], page.data.corrections ?? []);
  let state = readAddress();
  let scene = null;

  const go = (changes, { quiet = false } = {}) => {
    const hash = hashOf({ ...state, ...changes });
    if (hash === location.hash) return;
    if (quiet) {
      history.replaceState(null, "", hash); // paging through pictures should not fill the way back
      arrive();
    } else location.hash = hash;
  };

  const arrive = () => {
    const before = state.view;
    state = readAddress();
    const { split, run } = existing(page, state);
    if (!scene || scene.split !== split || scene.run !== run) scene = stage(page, views, split, run, { go, marks, original });
    const view = scene.views.find((each) => each.name === (state.view ?? "overview")) ?? scene.views[0];
    view.made ??= view.make(scene.context);
    if (content.firstChild !== view.made.element) replace(content, view.made.element);
    keepPlace(() => masthead(page, scene, view, go));
    view.made.update(state);
    scene.current = view;
    if (before !== state.view) {
      window.scrollTo(0, 0);
      // Whoever came by a link inside a view that is gone reads on at the top of the new one.
      if (document.activeElement === document.body && document.documentElement.dataset.ready) content.focus({ preventScroll: true });
    }
    document.documentElement.dataset.shown = location.hash; // drawn: what waits for the page can wait for this
  };

  document.querySelector(".skip").addEventListener("click", () => content.focus());
  addEventListener("hashchange", arrive);
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, select, textarea, .keeps-keys")) return;
    if (scene?.current?.made.key?.(event)) event.preventDefault();
  });
  arrive();
  replace(document.getElementById("colophon"), `Snellen ${page.snellen}. ${colophon}`);
  document.documentElement.dataset.ready = "yes";
}

/** Draw the masthead anew, and give the focus back to the link or choice that had it. */
function keepPlace(redraw) {
  const head = document.getElementById("masthead");
  const focused = head.contains(document.activeElement) ? document.activeElement : null;
  const name = focused && (focused.getAttribute("aria-label") ?? focused.textContent);
  redraw();
  if (focused) [...head.querySelectorAll("a, select, button")].find((each) => (each.getAttribute("aria-label") ?? each.textContent) === name)?.focus();
}

/** The split and run asked for, or the first there are. */
function existing(page, state) {
  const split = page.splits[state.split] ? state.split : Object.keys(page.splits)[0];
  const runs = Object.keys(page.splits[split].runs);
  return { split, run: runs.includes(String(state.run)) ? String(state.run) : runs[0] };
}

function stage(page, views, split, run, given) {
  const opened = new Map();
  const answersOf = (number) => {
    if (!opened.has(number)) opened.set(number, openAnswers(page, split, number));
    return opened.get(number);
  };
  const context = { page, answers: answersOf(run), answersOf, run, runs: Object.keys(page.splits[split].runs), ...given, layerViews: layerViewsOf(page, split, run) };
  return { split, run, context, views: views.filter((view) => view.when?.(context) ?? true).map((view) => ({ ...view })) };
}

function masthead(page, scene, current, go) {
  const { answers } = scene.context;
  const choice = (label, chosen, options, change) =>
    options.length < 2
      ? null
      : h(
          "select",
          { "aria-label": label, onchange: (event) => change(event.target.value) },
          options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)),
        );
  const runs = Object.keys(page.splits[scene.split].runs).map((number) => [number, page.runs[number].name]);
  const splits = Object.keys(page.splits).map((name) => [name, name]);
  replace(
    document.getElementById("masthead"),
    h(
      "div",
      { class: "brand" },
      h("h1", {}, h("a", { class: "mark", href: "#", "aria-label": "Snellen: overview" }, optotype(), h("span", {}, "Snellen"))),
      h(
        "div",
        { class: "about" },
        choice("Run", scene.run, runs, (value) => go({ run: Number(value), i: current.made.shown?.() ?? null, versus: null })) ?? h("span", { class: "run-name" }, answers.run.name),
        h("span", { class: "split" }, page.data.name, " ", choice("Split", scene.split, splits, (value) => go({ split: value, i: null, versus: null })) ?? scene.split),
        h("span", { class: "accuracy" }, percent(answers.card.plain.accuracy.value)),
      ),
      themeButton(),
    ),
    h(
      "nav",
      { "aria-label": "Views" },
      scene.views.map((view) => h("a", { href: hashOf({ view: view.name, split: new URLSearchParams(location.hash.slice(1)).get("split"), run: runOf(scene) }), "aria-current": view === current ? "page" : null }, view.title)),
    ),
  );
  // The menu scrolls sideways on a phone; keep the current view in sight.
  const nav = document.querySelector("#masthead nav");
  const link = nav.querySelector("[aria-current]");
  if (link) nav.scrollLeft = link.offsetLeft - (nav.clientWidth - link.offsetWidth) / 2;
}

const runOf = (scene) => (scene.run === "0" ? null : Number(scene.run));

/** The tumbling E of the eye chart, on its five-by-five grid. */
function optotype() {
  return svg(
    "svg",
    { viewBox: "0 0 5 5", class: "optotype", "aria-hidden": "true" },
    [
      [0, 0, 5, 1],
      [0, 2, 5, 1],
      [0, 4, 5, 1],
      [0, 0, 1, 5],
    ].map(([x, y, width, height]) => svg("rect", { x, y, width, height })),
  );
}
