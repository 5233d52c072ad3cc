// What the gallery shows: chips for the confidence groups, choices for classes and pairs, and a search.

import { SORTS, readRange, sortOf } from "./data.js";
import { h } from "./dom.js";
import { count } from "./words.js";

const PAIRS = 20; // further down a list of pairs nobody looks for one

/** The filters above the gallery. `change(changes)` goes to another address; `update(state)` shows the current one. */
export function filters(answers, layerViews, change) {
  const inPage = answers.groups.map(() => 0); // what a chip counts is what it opens
  for (const group of answers.group) inPage[group] += 1;
  const chips = answers.groups.map((group, number) =>
    h(
      "button",
      { type: "button", class: `chip group-${number}`, title: group.rule, onclick: () => change({ group: pressed(chips[number]) ? null : number }) },
      h("span", { class: "dot", "aria-hidden": "true" }),
      group.name,
      h("b", {}, count(inPage[number])),
    ),
  );
  const choice = (name, text) => {
    const select = h(
      "select",
      { "aria-label": text, onchange: () => change({ [name]: select.value === "" ? null : Number(select.value) }) },
      h("option", { value: "" }, `${text}: any`),
      answers.classes.map((label, at) => h("option", { value: at }, `${text}: ${label}`)),
    );
    return select;
  };
  const selects = { true: choice("true", "is"), said: choice("said", "called") };
  const pair = h(
    "select",
    { "aria-label": "Two classes taken for each other", onchange: () => change({ pair: pair.value || null }) },
    h("option", { value: "" }, "mixed up: any"),
    answers.pairs.slice(0, PAIRS).map(({ first, second, count: n }) => h("option", { value: `${first}-${second}` }, `${answers.classes[first]} ↔ ${answers.classes[second]} (${count(n)})`)),
  );
  const search = h("input", {
    type: "search",
    placeholder: answers.named ? "Search: file, class, cat>dog, wrong, doubted" : "Search: id, class, cat>dog, wrong, doubted",
    "aria-label": `Search by ${answers.named ? "file name, " : ""}id, class, mistake such as cat>dog, or the words wrong, right, doubted`,
    spellcheck: "false",
    oninput: () => change({ q: search.value || null }, { quiet: true }),
    onkeydown: (event) => event.key === "Escape" && (search.blur(), change({ q: null })),
  });
  const looked = h(
    "button",
    { type: "button", class: "chip", title: "only pictures with maps of what the network looks at", onclick: () => change({ layers: pressed(looked) ? null : "1" }) },
    "with layer views",
    h("b", {}, count(layerViews?.rows.size ?? 0)),
  );
  const sort = h("select", { "aria-label": "Sort by", onchange: () => change({ sort: sort.value }) }, Object.entries(SORTS).map(([name, { title }]) => h("option", { value: name }, `sort: ${title}`)));
  const bound = (at, text) => h("input", { type: "range", min: 0, max: 100, step: 1, value: 100 * at, "aria-label": text, oninput: () => narrow(at) });
  const bounds = [bound(0, "Confidence at least, percent"), bound(1, "Confidence at most, percent")];
  const sure = h("output", {});
  const narrow = (moved) => {
    const values = bounds.map((each) => Number(each.value));
    if (values[0] > values[1]) values[1 - moved] = values[moved];
    change({ sure: values[0] === 0 && values[1] === 100 ? null : values.join("-") }, { quiet: true });
  };
  return {
    search,
    element: h(
      "div",
      { class: "filters", role: "group", "aria-label": "Filter the pictures" },
      // Of doubted labels nobody says yet who is right.
      answers.alike ? null : h("div", { class: "chips", role: "group", "aria-label": "Confidence groups: four drawers, right or wrong, sure or nervous" }, chips, layerViews ? looked : null),
      h("div", { class: "choices" }, selects.true, selects.said, pair, sort, h("span", { class: "sure-range", role: "group", "aria-label": "Confidence of the answer" }, sure, bounds), h("label", { class: "search" }, search, h("kbd", { "aria-hidden": "true" }, "/"))),
    ),
    update(state) {
      chips.forEach((chip, number) => chip.setAttribute("aria-pressed", state.group === number));
      looked.setAttribute("aria-pressed", Boolean(state.layers));
      pair.value = state.pair ?? "";
      sort.value = sortOf(state);
      const range = readRange(state.sure) ?? [0, 100];
      bounds.forEach((each, at) => (each.value = range[at]));
      sure.textContent = `${range[0]} to ${range[1]}\u00a0% sure`;
      for (const [name, select] of Object.entries(selects)) select.value = state[name] ?? "";
      if (document.activeElement !== search) search.value = state.q ?? "";
    },
  };
}

function pressed(button) {
  return button.getAttribute("aria-pressed") === "true";
}
