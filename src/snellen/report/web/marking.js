// Saying what is wrong with a label: four buttons and keys beside a picture, and the tray with what was said so far.

import { h, replace } from "./dom.js";
import { KINDS } from "./marks.js";
import { plural } from "./words.js";

const KEYS = { f: "fine", u: "unsure", x: "leave out" };
const SIGNS = { wrong: "✗", fine: "✓", unsure: "?", "leave out": "∅" };

/** The sign of a mark on a small picture; empty for none. */
export function signOf(mark) {
  return mark ? SIGNS[mark.kind] : "";
}

/** The class a wrong label should have, as far as the network knows: its answer, or where that is the label, its second. */
function likely(answers, row) {
  const [first, second] = [answers.top(row, 0), answers.topCount > 1 ? answers.top(row, 1) : null];
  return first === answers.labels[row] ? second : first;
}

/** What a key says of the picture: {kind, right}; null for other keys. Numbers are the classes as the bars list them. */
export function markOfKey(answers, row, key) {
  if (key in KEYS) return { kind: KEYS[key], right: null };
  if (key === "w") return { kind: "wrong", right: likely(answers, row) };
  const rank = Number(key) - 1;
  if (!/^[1-9]$/.test(key) || rank >= answers.topCount) return null;
  const named = answers.top(row, rank);
  return named === answers.labels[row] ? { kind: "fine", right: null } : { kind: "wrong", right: named };
}

/** The buttons beside a picture. */
export function markButtons({ answers, marks }, row, said) {
  const mark = marks.of(answers, row);
  const label = answers.labels[row];
  const first = mark?.kind === "wrong" ? answers.classes.indexOf(mark.new) : likely(answers, row);
  const others = answers.classes.map((_, at) => at).filter((at) => at !== label);
  const select = h(
    "select",
    { "aria-label": "The class it shows", onchange: () => said("wrong", Number(select.value)) },
    others.map((at) => h("option", { value: at, selected: at === first }, answers.classes[at])),
  );
  const button = (kind, key, act) =>
    h("button", { type: "button", class: "chip", "aria-pressed": String(mark?.kind === kind), "aria-keyshortcuts": key, onclick: act }, h("span", { "aria-hidden": "true" }, SIGNS[kind]), kind, h("kbd", { "aria-hidden": "true" }, key));
  return h(
    "section",
    { class: "marking", "aria-label": "Is the label right?" },
    h("h3", {}, "Is the label right?"),
    h(
      "div",
      { class: "chips" },
      button("fine", "f", () => said("fine")),
      button("unsure", "u", () => said("unsure")),
      button("leave out", "x", () => said("leave out")),
    ),
    h("div", { class: "chips" }, button("wrong", "w", () => said("wrong", Number(select.value))), h("label", { class: "should" }, "it shows ", select)),
    h("p", { class: "small" }, "A key marks and goes on to the next picture; 1 to ", answers.topCount, " say which of the classes above it shows. The same mark again takes it back."),
  );
}

/** How much is marked, and the file of it. */
export function markTray({ marks, go, state }) {
  const told = h("p", { role: "status" });
  const saved = h("button", { type: "button", class: "chip strong", onclick: () => marks.save() }, "Save corrections.csv");
  const shown = h("button", { type: "button", class: "chip", onclick: () => go({ marked: state().marked ? null : "any", i: null }) }, "show the marked");
  const sure = h("button", { type: "button", class: "chip", onclick: () => forget() }, "forget all");
  let asked = false;
  const forget = () => {
    if (asked) marks.forget();
    asked = !asked;
    update();
  };
  const element = h("section", { class: "tray card", "aria-label": "Marked pictures" }, told, h("div", { class: "chips" }, saved, shown, sure), h("p", { class: "small" }, "For ", h("code", {}, "snellen train DATA --corrections corrections.csv"), "; the pictures themselves are not touched. Unsure ones change nothing.", marks.before ? ` With them are saved the ${plural(marks.before, "correction")} that this run was trained with.` : null));
  const update = () => {
    const total = marks.count();
    element.hidden = !total;
    if (!total) asked = false;
    const each = KINDS.filter((kind) => marks.count(kind)).map((kind) => `${marks.count(kind)} ${kind}`);
    replace(told, `${plural(total, "picture")} marked: ${each.join(", ")}.`, marks.kept() ? "" : " This browser keeps nothing for this page: save them before you close it.");
    shown.setAttribute("aria-pressed", String(Boolean(state().marked)));
    sure.textContent = asked ? "really forget all" : "forget all";
  };
  return { element, update };
}
