// Which classes are taken for which: the matrix, its pairs with pictures, and whether neighbours in feature space mix.

import { UNFILTERED } from "./address.js";
import { h, replace, unseen } from "./dom.js";
import { nearness } from "./nearness.js";
import { strip } from "./overview.js";
import { count, percent, plural, shortName } from "./words.js";

const MOST_CLASSES = 24;
const STRIP = 24;
const DEEP = 0.8; // from here on the other ink is the one that can be read; the colours are chosen so that both themes agree

export function confusions(context) {
  const { answers, go } = context;
  const { classes } = answers;
  const few = classes.length <= MOST_CLASSES;
  const place = h("div", { class: "matrix-scroll" });
  const near = h("div", {});
  const evidence = h("div", { class: "evidence", "aria-live": "polite" });
  let table = null;
  let centre = null;
  const draw = () => {
    const shown = few ? classes.map((_, at) => at) : shownClasses(answers, centre);
    table = matrix(answers, shown, go);
    replace(place, table.element);
    replace(near, nearness(answers, shown));
  };
  const around = h(
    "select",
    { "aria-label": "Which classes", onchange: () => go({ view: "confusions", true: around.value === "" ? null : Number(around.value), said: null, i: null }) },
    h("option", { value: "" }, `the ${MOST_CLASSES} classes with most mistakes`),
    classes.map((name, at) => h("option", { value: at }, `${name} and what it is mixed up with`)),
  );
  const element = h(
    "section",
    { class: "confusions" },
    h("h2", {}, "What is taken for what", h("span", { class: "soft" }, " confusion matrix")),
    h(
      "div",
      { class: "confusion-columns" },
      h(
        "div",
        {},
        h("p", { class: "soft" }, "Rows: what the label says. Columns: what the network says. Choose a cell to see its pictures; arrow keys go from cell to cell."),
        few ? null : h("p", {}, h("label", {}, "Of ", count(classes.length), " classes: ", around)),
        place,
      ),
      evidence,
    ),
    h("h2", {}, "The worst pairs, both directions together"),
    h("div", { class: "pair-columns" }, pairList(answers, go), near),
  );
  draw();
  return {
    element,
    update(state) {
      const [worst] = answers.pairs;
      const forth = !worst || worst.first_as_second >= worst.second_as_first;
      const asked = state.true ?? null;
      const label = asked ?? (forth ? worst?.first : worst?.second);
      const said = state.said ?? (asked == null ? (forth ? worst?.second : worst?.first) : mostCalled(answers, asked));
      const exists = label < classes.length && said < classes.length;
      if (!few && exists && (!table.has(label, said) || (state.said == null && asked !== centre))) {
        centre = asked;
        draw();
      }
      around.value = centre ?? "";
      table.select(exists ? label : null, exists ? said : null);
      replace(evidence, exists ? cell(answers, label, said, go) : h("p", { class: "empty" }, "No mistakes to show."));
    },
  };
}

/** The wrong answer given most often to a class; the class itself where there is none. */
function mostCalled({ matrix: counts }, label) {
  const others = counts[label]?.map((n, said) => (said === label ? 0 : n)) ?? [];
  const most = Math.max(0, ...others);
  return most ? others.indexOf(most) : label;
}

/** Class numbers in order: those with most mistakes, or one class and those that it is mixed up with most. */
function shownClasses({ matrix: counts }, centre) {
  const errors = counts.map(() => 0);
  counts.forEach((row, label) =>
    row.forEach((n, said) => {
      if (label === said || (centre != null && label !== centre && said !== centre)) return;
      errors[label] += n;
      errors[said] += n;
    }),
  );
  if (centre != null) errors[centre] = Infinity;
  return counts.map((_, at) => at).sort((a, b) => errors[b] - errors[a] || a - b).slice(0, MOST_CLASSES).sort((a, b) => a - b);
}

function matrix(answers, shown, go) {
  const { classes, matrix: counts } = answers;
  const support = counts.map((row) => row.reduce((sum, n) => sum + n, 0));
  const share = (label, said) => (support[label] ? counts[label][said] / support[label] : 0);
  const worst = Math.max(1e-9, ...shown.flatMap((label) => shown.filter((said) => said !== label).map((said) => share(label, said))));
  const buttons = new Map();
  const cellOf = (label, said) => {
    const [n, same] = [counts[label][said], label === said];
    // The root keeps small errors visible beside the worst cell; the diagonal has its own quiet colour.
    const depth = same ? 0 : Math.sqrt(share(label, said) / worst);
    const button = h(
      "button",
      {
        type: "button",
        class: same ? "same" : depth > DEEP ? "deep" : n ? "some" : "none",
        style: { "--depth": `${Math.round(100 * depth)}%` },
        tabindex: "-1",
        "data-at": `${label} ${said}`,
        "aria-label": same ? `${classes[label]}: ${count(n)} right` : `${classes[label]} taken for ${classes[said]}: ${count(n)}`,
        onclick: () => go({ view: "confusions", true: label, said, i: null }),
      },
      n ? String(n) : "·",
    );
    buttons.set(`${label} ${said}`, button);
    return h("td", {}, button);
  };
  const element = h(
    "table",
    { class: `matrix keeps-keys${shown.length > 12 ? " dense" : ""}`, onkeydown: (event) => step(event) },
    h("caption", {}, unseen("Confusion matrix")),
    h("thead", {}, h("tr", {}, h("td", {}), shown.map((said) => h("th", { scope: "col" }, h("span", { title: classes[said] }, shortName(classes[said])))), h("th", { scope: "col", class: "recall" }, h("span", {}, "recall")))),
    h(
      "tbody",
      {},
      shown.map((label) =>
        h(
          "tr",
          {},
          h("th", { scope: "row", title: classes[label] }, shortName(classes[label])),
          shown.map((said) => cellOf(label, said)),
          h("td", { class: "recall" }, support[label] ? String(Math.round(100 * share(label, label))) : "–"),
        ),
      ),
    ),
  );
  let selected = null;
  const stop = (button) => {
    for (const each of buttons.values()) each.tabIndex = each === button ? 0 : -1; // one stop for Tab, whatever the size
  };
  const step = (event) => {
    const by = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const at = event.target.dataset?.at?.split(" ").map((number) => shown.indexOf(Number(number)));
    if (!by || !at) return;
    const next = buttons.get(`${shown[at[0] + by[0]]} ${shown[at[1] + by[1]]}`);
    if (next) {
      stop(next);
      next.focus();
    }
    event.preventDefault();
  };
  stop(buttons.values().next().value);
  return {
    element,
    has: (label, said) => buttons.has(`${label} ${said}`),
    select(label, said) {
      selected?.removeAttribute("aria-current");
      selected = buttons.get(`${label} ${said}`) ?? null;
      selected?.setAttribute("aria-current", "true");
      if (selected) stop(selected);
    },
  };
}

function rowsOf(answers, label, said) {
  return answers.inOrder.filter((row) => answers.labels[row] === label && answers.top(row, 0) === said);
}

function cell(answers, label, said, go) {
  if (label === said) return side(answers, label, said, go, `${answers.classes[label]}, recognised`);
  return [
    side(answers, label, said, go, `${answers.classes[label]} taken for ${answers.classes[said]}`),
    side(answers, said, label, go, `${answers.classes[said]} taken for ${answers.classes[label]}`),
  ];
}

function side(answers, label, said, go, title) {
  const rows = rowsOf(answers, label, said);
  const total = answers.matrix[label][said];
  const all = answers.matrix[label].reduce((sum, n) => sum + n, 0);
  return h(
    "section",
    { class: "side" },
    h("h3", {}, title),
    h("p", { class: "soft" }, all ? `${plural(total, "picture")}, ${percent(total / all)} of this class.` : "This class has no pictures here.", rows.length < total ? ` ${count(rows.length)} of them are in this page.` : ""),
    strip(answers, rows.slice(0, STRIP), go, { true: label, said }),
    rows.length ? h("button", { type: "button", class: "link", onclick: () => go({ ...UNFILTERED, view: "gallery", true: label, said, i: answers.ids[rows[0]] }) }, "Open in the gallery →") : null,
  );
}

function pairList(answers, go) {
  if (!answers.pairs.length) return h("p", {}, "No mistakes, so no pairs.");
  const most = answers.pairs[0].count;
  return h(
    "ol",
    { class: "pair-list" },
    answers.pairs.slice(0, 10).map((pair) => {
      const [a, b] = [answers.classes[pair.first], answers.classes[pair.second]];
      const width = (n) => ({ width: `${(100 * n) / most}%` });
      return h(
        "li",
        {},
        h(
          "button",
          { type: "button", class: "pair", onclick: () => go({ view: "confusions", true: pair.first, said: pair.second, i: null }) },
          h("span", { class: "pair-name" }, `${a} ↔ ${b}`),
          h("span", { class: "pair-count" }, `${count(pair.count)}`, h("span", { class: "soft" }, ` ${percent(pair.share_of_errors, 0)} of all errors`)),
          h("span", { class: "pair-bar", "aria-hidden": "true" }, h("span", { class: "forth", style: width(pair.first_as_second) }), h("span", { class: "back", style: width(pair.second_as_first) })),
          h("span", { class: "pair-ways soft" }, `${a} as ${b}: ${pair.first_as_second} · ${b} as ${a}: ${pair.second_as_first}`),
        ),
        h("div", { class: "pair-strips" }, strip(answers, [...rowsOf(answers, pair.first, pair.second).slice(0, 4), ...rowsOf(answers, pair.second, pair.first).slice(0, 4)], go, { pair: `${pair.first}-${pair.second}` })),
      );
    }),
  );
}
