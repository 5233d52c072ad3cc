// Two runs on the same pictures: what the second mended, what it broke, what both have wrong.

import { UNFILTERED } from "./address.js";
import { h, replace } from "./dom.js";
import { picture } from "./pictures.js";
import { chance, count, percent, plural, signed } from "./words.js";

const SHOWN = 60;

/** The four ways in which two runs can differ on a picture. */
export const OUTCOMES = {
  fixed: { title: "Fixed", test: (a, b, row) => !a.right(row) && b.right(row) },
  broken: { title: "Broken", test: (a, b, row) => a.right(row) && !b.right(row) },
  both: { title: "Both wrong", test: (a, b, row) => !a.right(row) && !b.right(row) },
};

/** "0-fixed" as {run: "0", outcome: "fixed"}: compared with that run; null where it is nothing like that. */
export function readVersus(text, runs) {
  const [run, outcome] = (text ?? "").split("-");
  return runs.includes(run) && Object.hasOwn(OUTCOMES, outcome ?? "") ? { run, outcome } : null;
}

export function versus({ page, answers, runs, answersOf, go, run }) {
  const others = runs.filter((number) => number !== run);
  const name = (number) => page.runs[number].name;
  const body = h("div", {});
  const element = h(
    "section",
    { class: "versus" },
    h("h2", {}, "Two runs, picture by picture"),
    others.length > 1
      ? h(
          "label",
          {},
          "Compared with ",
          h("select", { onchange: (event) => show(event.target.value) }, others.map((number) => h("option", { value: number }, name(number)))),
        )
      : null,
    body,
  );
  const show = (other) => {
    const before = answersOf(other);
    const { difference, n } = versusFigures(page, answers.split, other, run, before, answers);
    replace(
      body,
      h("p", {}, h("b", {}, `${answers.run.name} against ${before.run.name}: `), difference, ` On ${plural(n, "picture")}. `, differing(before.run.recipe, answers.run.recipe)),
      Object.entries(OUTCOMES).map(([outcome, { title, test }]) => {
        const rows = answers.inOrder.filter((row) => test(before, answers, row));
        const told = { fixed: `Fixed by ${answers.run.name}`, broken: `Broken by ${answers.run.name}`, both: title }[outcome];
        return h(
          "section",
          { class: `outcome ${outcome}` },
          h("h3", {}, told, h("span", { class: "soft" }, ` ${plural(rows.length, "picture")}`)),
          h("div", { class: "duels" }, rows.slice(0, SHOWN).map((row) => duel(before, answers, row, () => go({ ...UNFILTERED, view: "gallery", versus: `${other}-${outcome}`, i: answers.ids[row] })))),
          rows.length ? h("button", { type: "button", class: "link", onclick: () => go({ ...UNFILTERED, view: "gallery", versus: `${other}-${outcome}`, i: answers.ids[rows[0]] }) }, `All ${count(rows.length)} in the gallery →`) : h("p", { class: "soft" }, "None."),
        );
      }),
    );
  };
  show(others[0]);
  return { element, update() {} };
}

function duel(before, after, row, open) {
  const line = (answers, which) =>
    h("span", { class: answers.right(row) ? "right" : "wrong" }, h("span", { class: "small" }, `${which} `), `${answers.classes[answers.top(row, 0)]} ${percent(answers.confidence(row), 0)}`);
  return h("button", { type: "button", class: "mugshot", title: after.name(row), onclick: open }, picture(after.sprite, row, ""), h("span", {}, h("b", {}, after.classes[after.labels[row]]), line(before, "before"), line(after, "now")));
}

/** The difference with its interval and McNemar's p as they were computed when the page was made; else the two counts. */
function versusFigures(page, split, first, second, before, after) {
  const found = page.splits[split].versus?.find((each) => String(each.first) === first && String(each.second) === second);
  const n = after.n;
  if (!found) {
    const points = 100 * (after.card.plain.accuracy.value - before.card.plain.accuracy.value);
    return { n, difference: `${signed(points, 2)} points.` };
  }
  const { value, low, high, p_value: p, only_first: lost, only_second: won } = found.difference;
  const verdict = p < 0.05 ? "a difference that chance does not explain" : "which chance explains as well";
  return { n, difference: `${signed(100 * value, 2)} points (${signed(100 * low, 2)} to ${signed(100 * high, 2)}): ${count(won)} fixed, ${count(lost)} broken; McNemar’s test gives ${chance(p)}, ${verdict}.` };
}

/** In which fields of the recipe the two differ. */
function differing(first, second) {
  const names = Object.keys(second).filter((key) => !["note", "expect"].includes(key) && JSON.stringify(first[key]) !== JSON.stringify(second[key]));
  return names.length ? `Their recipes differ in ${names.join(", ")}.` : "Their recipes are the same.";
}
