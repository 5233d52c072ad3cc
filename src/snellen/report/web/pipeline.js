// One picture at every stop of the pipeline: what it is there, the function that made it, and whether NumPy agrees.

import { h, replace } from "./dom.js";
import { picture } from "./pictures.js";
import { plural } from "./words.js";

/** The traces that belong to this run and split; null where there are none. */
export function tracesOf({ page, answers }) {
  const { pipeline: found } = page;
  return found && found.split === answers.split && page.runs[found.run] === answers.run ? found.traces : null;
}

export function pipeline({ page, answers, go }) {
  const traces = tracesOf({ page, answers });
  const row = h(
    "div",
    { class: "strip chooser", role: "group", "aria-label": "Pictures that were traced" },
    traces.map((trace) => {
      const text = nameOf(trace, answers);
      return h("button", { type: "button", "data-id": trace.id, title: text, "aria-label": text, onclick: () => go({ view: "pipeline", i: trace.id }, { quiet: true }) }, thumbnail(trace));
    }),
  );
  const shown = h("div", { class: "traced", "aria-live": "polite" });
  const stops = h("ol", { class: "stops", role: "list" });
  const element = h(
    "section",
    { class: "pipeline" },
    h("h2", {}, "One picture, every step"),
    h("p", { class: "soft" }, `From bytes to the stored answer of ${answers.run.name}. Each step shows the function that does it in training or evaluation, and the same done by hand in NumPy, on the same picture; the two results are compared. Names, places and statements are those of the functions that were called when this page was made. For any other picture and epoch: `, h("code", {}, "snellen explain RUN --image ID --epoch N")),
    row,
    shown,
    stops,
  );
  let drawn = null;
  return {
    element,
    update(state) {
      const asked = traces.find((trace) => trace.id === state.i);
      const trace = asked ?? traces[0];
      for (const button of row.children) button.setAttribute("aria-pressed", Number(button.dataset.id) === trace.id);
      if (trace !== drawn) replace(stops, trace.stages.map(stop));
      drawn = trace;
      replace(shown, state.i != null && !asked ? h("p", { class: "empty" }, `Picture ${state.i} was not traced; this is another one.`) : null, headline(trace, answers, go));
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

/** The picture as it was read: the first stop that shows one with its three axes. */
function thumbnail(trace) {
  const { sheet, tile } = trace.stages.find((stage) => stage.key === "picture").pictures[0];
  return picture(sheet, tile, "");
}

function nameOf(trace, answers) {
  const at = answers.rowOf.get(trace.id);
  return at == null ? `picture ${trace.id}` : `${answers.classes[answers.labels[at]]}, called ${answers.classes[answers.top(at, 0)]}`;
}

function headline(trace, answers, go) {
  const failed = trace.stages.filter((stage) => !stage.check.passed);
  return h(
    "p",
    { class: "trace-headline" },
    h("strong", {}, `#${trace.id}, ${nameOf(trace, answers)}. `),
    h("span", { class: failed.length ? "wrong" : "right" }, failed.length ? `✗ ${failed.length} of ${plural(trace.stages.length, "step")} come out otherwise by hand: ${failed.map((stage) => stage.title).join("; ")}.` : `✓ All ${plural(trace.stages.length, "step")} come out the same by hand.`),
    " ",
    answers.rowOf.has(trace.id) ? h("button", { type: "button", class: "link", onclick: () => go({ view: "gallery", i: trace.id }) }, "In the gallery →") : null,
  );
}

function stop(stage, at) {
  return h(
    "li",
    { class: stage.check.passed ? "" : "is-wrong", "data-key": stage.key },
    h("span", { class: "stop-number", "aria-hidden": "true" }, at + 1),
    h(
      "article",
      { class: "card" },
      h("header", {}, h("h3", {}, stage.title), verdict(stage.check)),
      h("p", {}, stage.says),
      h("div", { class: "stop-pictures" }, stage.pictures.map((shown) => h("figure", {}, picture(shown.sheet, shown.tile, `${stage.title}: ${shown.caption}`), h("figcaption", {}, shown.caption)))),
      h("div", { class: "stop-columns" }, numbers(stage), h("div", {}, called("What runs", stage.production), called("By hand", stage.by_hand))),
    ),
  );
}

function verdict({ passed, difference, tolerance }) {
  const apart = difference == null ? "no number to compare" : `${short(difference)} apart`;
  const allowed = tolerance === 0 ? "must be 0" : `up to ${short(tolerance)} is rounding`;
  return h("span", { class: `check ${passed ? "right" : "wrong"}` }, h("b", {}, passed ? "✓ agrees" : "✗ differs"), h("span", { class: "small" }, ` ${apart}, ${allowed}`));
}

function numbers({ array, facts }) {
  const rows = [
    ["array", `${array.dtype} (${array.shape.join(", ")}${array.shape.length === 1 ? "," : ""})`],
    ["axes", array.layout],
    ["min to max", `${short(array.min)} to ${short(array.max)}`],
    ["mean, std", `${short(array.mean)}, ${short(array.std)}`],
    ...Object.entries(facts),
  ];
  return h("dl", {}, rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function called(title, { name, place, code }) {
  return h("figure", { class: "quote" }, h("figcaption", {}, title, h("span", { class: "soft" }, ` ${name}, ${place}`)), h("pre", {}, h("code", {}, code)));
}

/** Four digits, without zeros that say nothing; powers of ten where a number is very small. */
function short(value) {
  if (value == null) return "–";
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(1).replace("e-", "e−").replace("-", "−");
  return String(Number(value.toPrecision(4))).replace("-", "−");
}
