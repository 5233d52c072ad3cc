// One picture at every stop of the pipeline: what it is there, the line that made it, and whether NumPy agrees.

import { h, replace } from "./dom.js";
import { picture } from "./pictures.js";
import { plural } from "./words.js";

/** The walks that belong to this run and split; null where there are none. */
export function walksOf({ page, answers }) {
  const { pipeline: found } = page;
  return found && found.split === answers.split && page.runs[found.run] === answers.run ? found.walks : null;
}

export function pipeline({ page, answers, go }) {
  const walks = walksOf({ page, answers });
  const row = h(
    "div",
    { class: "strip chooser", role: "group", "aria-label": "Pictures that were walked with" },
    walks.map((walk) => {
      const text = nameOf(walk, answers);
      return h("button", { type: "button", "data-id": walk.id, title: text, "aria-label": text, onclick: () => go({ view: "pipeline", i: walk.id }, { quiet: true }) }, thumbnail(walk));
    }),
  );
  const shown = h("div", { class: "walked", "aria-live": "polite" });
  const stops = h("ol", { class: "stops", role: "list" });
  const element = h(
    "section",
    { class: "pipeline" },
    h("h2", {}, "One picture, every step"),
    h("p", { class: "soft" }, `From bytes to the stored answer of ${answers.run.name}. Each step shows the line that does it in training or evaluation, and the same done by hand in NumPy, on the same picture; the two results are compared. Lines are quoted from the source as it was when this page was made. For any other picture and epoch: `, h("code", {}, "snellen explain RUN --image ID --epoch N")),
    row,
    shown,
    stops,
  );
  let drawn = null;
  return {
    element,
    update(state) {
      const asked = walks.find((walk) => walk.id === state.i);
      const walk = asked ?? walks[0];
      for (const button of row.children) button.setAttribute("aria-pressed", Number(button.dataset.id) === walk.id);
      if (walk !== drawn) replace(stops, walk.stages.map(stop));
      drawn = walk;
      replace(shown, state.i != null && !asked ? h("p", { class: "empty" }, `Picture ${state.i} was not walked with; this is another one.`) : null, headline(walk, answers, go));
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
function thumbnail(walk) {
  const { sheet, tile } = walk.stages.find((stage) => stage.key === "picture").pictures[0];
  return picture(sheet, tile, "");
}

function nameOf(walk, answers) {
  const at = answers.rowOf.get(walk.id);
  return at == null ? `picture ${walk.id}` : `${answers.classes[answers.labels[at]]}, called ${answers.classes[answers.top(at, 0)]}`;
}

function headline(walk, answers, go) {
  const failed = walk.stages.filter((stage) => !stage.check.passed);
  return h(
    "p",
    { class: "walk-headline" },
    h("strong", {}, `#${walk.id}, ${nameOf(walk, answers)}. `),
    h("span", { class: failed.length ? "wrong" : "right" }, failed.length ? `✗ ${failed.length} of ${plural(walk.stages.length, "step")} come out otherwise by hand: ${failed.map((stage) => stage.title).join("; ")}.` : `✓ All ${plural(walk.stages.length, "step")} come out the same by hand.`),
    " ",
    answers.rowOf.has(walk.id) ? h("button", { type: "button", class: "link", onclick: () => go({ view: "gallery", i: walk.id }) }, "In the line-up →") : null,
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
      h("div", { class: "stop-columns" }, numbers(stage), h("div", {}, line("What runs", stage.production), line("By hand", stage.by_hand))),
    ),
  );
}

function verdict({ passed, difference, tolerance }) {
  const apart = difference == null ? "no number to compare" : `${short(difference)} apart`;
  const allowed = tolerance === 0 ? "must be 0" : `up to ${short(tolerance)} is rounding`;
  return h("span", { class: `check ${passed ? "right" : "wrong"}` }, h("b", {}, passed ? "✓ agrees" : "✗ differs"), h("span", { class: "small" }, ` ${apart}, ${allowed}`));
}

function numbers(stage) {
  const rows = [
    ["array", `${stage.dtype} (${stage.shape.join(", ")}${stage.shape.length === 1 ? "," : ""})`],
    ["axes", stage.layout],
    ["min to max", `${short(stage.min)} to ${short(stage.max)}`],
    ["mean, std", `${short(stage.mean)}, ${short(stage.std)}`],
    ...Object.entries(stage.facts),
  ];
  return h("dl", {}, rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function line(title, { code, place }) {
  return h("figure", { class: "quote" }, h("figcaption", {}, title, h("span", { class: "soft" }, ` ${place}`)), h("pre", {}, h("code", {}, code)));
}

/** Four digits, without zeros that say nothing; powers of ten where a number is very small. */
function short(value) {
  if (value == null) return "–";
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(1).replace("e-", "e−").replace("-", "−");
  return String(Number(value.toPrecision(4))).replace("-", "−");
}
