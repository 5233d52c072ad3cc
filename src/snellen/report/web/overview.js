// The first page: the result, and the three findings a reader comes for, each one click from its evidence.

import { UNFILTERED } from "./address.js";
import { mixedUp } from "./data.js";
import { h } from "./dom.js";
import { LAYERS, spotlight } from "./heatmaps.js";
import { picture } from "./pictures.js";
import { calibrationSentence, reliability } from "./calibration.js";
import { count, percent, plural, rate } from "./words.js";

const STRIP = 8;

export function overview({ page, answers, go, layerViews }) {
  const { card } = answers;
  const errors = card.plain.accuracy.n - card.plain.accuracy.hits;
  const element = h(
    "section",
    { class: "overview" },
    h(
      "div",
      { class: "headline" },
      h("p", { class: "score" }, percent(card.plain.accuracy.value, 1)),
      h(
        "div",
        {},
        h("h2", {}, `right on ${count(card.n)} ${answers.split} pictures of ${page.data.name}`),
        h("p", { class: "soft" }, `${rate(card.plain.accuracy, 1)}, one view per picture.`),
        card.with_tta ? h("p", { class: "soft" }, ttaSentence(card)) : null,
        h("p", { class: "soft" }, splitSentence(page, answers)),
        warnings(answers, go),
        page.doubted?.found ? h("button", { type: "button", class: "link", onclick: () => go({ ...UNFILTERED, view: "labels", i: null }) }, `${plural(page.doubted.found, "label")} of train and val ${page.doubted.found > 1 ? "are" : "is"} doubted →`) : page.doubted ? h("p", { class: "soft" }, `None of the ${count(page.doubted.of)} labels of train and val is doubted.`) : null,
      ),
    ),
    h(
      "div",
      { class: "findings" },
      finding("What it mixes up most", errors ? pairs(answers, go) : [h("p", {}, "Nothing: it made no mistake here.")]),
      finding("Sure, and wrong", confident(answers, go)),
      finding("What it looks at", glance(answers, layerViews, go)),
      finding("Whether its confidence can be believed", [
        h("p", {}, calibrationSentence(answers.calibration)),
        reliability(answers.calibration, { caption: false }),
        h("button", { type: "button", class: "link", onclick: () => go({ view: "classes" }) }, "The calibration picture →"),
      ]),
    ),
  );
  return { element, update() {} };
}

function finding(title, body) {
  return h("section", { class: "card" }, h("h3", {}, title), body);
}

function ttaSentence(card) {
  return `With test-time augmentation (${card.tta}): ${percent(card.with_tta.accuracy.value, 1)}.`;
}

/** What speaks against the number above: classes never answered, uneven recall, guards that found something. */
function warnings(answers, go) {
  const { card, run } = answers;
  const { accuracy, balanced_accuracy: balanced } = card.plain;
  const told = [];
  if (card.never_predicted.length) told.push([h("b", {}, card.never_predicted.slice(0, 5).join(", ")), card.never_predicted.length > 5 ? ` and ${count(card.never_predicted.length - 5)} more classes` : "", card.never_predicted.length > 1 ? " are never answered." : " is never answered."]);
  if (balanced < accuracy.low) told.push([`The classes are not found alike: on average ${percent(balanced)} of a class.`]);
  const failed = (run.guards ?? []).filter((verdict) => verdict.passed === false);
  const grave = failed.filter((verdict) => verdict.severity !== "note");
  for (const verdict of grave) told.push([h("b", {}, verdict.name), ": ", verdict.evidence]);
  const notes = failed.length - grave.length;
  if (notes) told.push([`${plural(notes, "note")} of the guards: ${failed.filter((verdict) => verdict.severity === "note").map((verdict) => verdict.name).join(", ")}.`]);
  if (!told.length) return null;
  return h(
    "section",
    { class: "warnings", "aria-label": "What speaks against this number" },
    h("ul", {}, told.map((line) => h("li", {}, line))),
    h("button", { type: "button", class: "link", onclick: () => go({ view: "record" }) }, "All guards with their evidence →"),
  );
}

function splitSentence(page, answers) {
  const errors = answers.n - answers.card.plain.accuracy.hits;
  const all = answers.mistakes === errors ? "every mistake among them" : `${count(answers.mistakes)} of the ${count(errors)} mistakes among them`;
  const kept = answers.shown < answers.n ? ` This page holds ${count(answers.shown)} of the pictures, ${errors ? all : "there being no mistake"}.` : "";
  if (answers.split === "test") {
    const look = answers.run.ledger.at(-1);
    return `The test set was opened on the record${look ? `: look ${look.look}, ${look.time.slice(0, 10)}` : ""}.${kept}`;
  }
  if (page.splits.test) return `Choices were made on val; the test pictures are under “test” above.${kept}`;
  return page.data.has_test
    ? `Every choice was made on these; the test set is not in this page.${kept}`
    : `Every choice was made on these, and the data have no test set that would say how much that flatters.${kept}`;
}

function pairs(answers, go) {
  const { classes } = answers;
  return answers.pairs.slice(0, 2).map((pair) => {
    const [a, b] = [classes[pair.first], classes[pair.second]];
    const rows = answers.inOrder.filter((row) => mixedUp(answers, row, [pair.first, pair.second]));
    return h(
      "div",
      { class: "pair-brief" },
      h("p", {}, h("strong", {}, `${a} ↔ ${b}`), ` ${plural(pair.count, "error")}, ${percent(pair.share_of_errors, 0)} of all`),
      strip(answers, rows.slice(0, STRIP), go, { pair: `${pair.first}-${pair.second}` }),
      h("button", { type: "button", class: "link", onclick: () => go({ view: "confusions", true: pair.first, said: pair.second }) }, "Both directions →"),
    );
  });
}

function confident(answers, go) {
  const rows = answers.inOrder.filter((row) => answers.group[row] === 3);
  if (!rows.length) return [h("p", {}, answers.groups[3].share.hits ? "The pictures are not in this page." : `Not once: ${answers.groups[3].rule.replace("wrong, though the answer", "no wrong answer")}.`)];
  return [
    h(
      "div",
      { class: "trio" },
      rows.slice(0, 3).map((row) =>
        h(
          "button",
          { type: "button", class: "mugshot", onclick: () => go({ ...UNFILTERED, view: "gallery", group: 3, i: answers.ids[row] }) },
          picture(answers.sprite, row, ""),
          h("span", {}, h("b", {}, answers.classes[answers.labels[row]]), h("span", { class: "wrong" }, ` ${percent(answers.confidence(row), 0)} ${answers.classes[answers.top(row, 0)]}`)),
        ),
      ),
    ),
    h("button", { type: "button", class: "link", onclick: () => go({ ...UNFILTERED, view: "gallery", group: 3, i: null }) }, `All ${count(rows.length)} of them →`),
  ];
}

function glance(answers, layerViews, go) {
  const seen = layerViews?.seen.filter((each) => each.cams.length) ?? [];
  const examples = [seen.find(({ row }) => answers.right(row)), seen.find(({ row }) => !answers.right(row))].filter(Boolean);
  if (!examples.length) return [h("p", {}, "Not in this page: it was written with --layer-views 0, for another run, or for a network without maps.")];
  return [
    examples.map(({ row, cams }) => [
      h(
        "div",
        { class: "trio glance" },
        cams[0].maps.map((map, at) => {
          const name = LAYERS[layerViews.layers[at].key];
          return h("figure", {}, spotlight(answers.sprite, row, map, `${name} layer: where the evidence lies`), h("figcaption", {}, name));
        }),
      ),
      h("p", {}, `Lit: what speaks for ${answers.classes[cams[0].class]}; the label is ${answers.classes[answers.labels[row]]}.`),
    ]),
    h("button", { type: "button", class: "link", onclick: () => go({ view: "inside", i: answers.ids[examples[0].row] }) }, "Layer views →"),
  ];
}

/** A row of small pictures that lead to the gallery, with that filter. */
export function strip(answers, rows, go, filter = {}) {
  return h(
    "div",
    { class: "strip" },
    rows.map((row) => {
      const text = answers.right(row)
        ? `${answers.classes[answers.labels[row]]}, recognised, ${percent(answers.confidence(row), 0)}`
        : `${answers.classes[answers.labels[row]]} taken for ${answers.classes[answers.top(row, 0)]}, ${percent(answers.confidence(row), 0)}`;
      return h("button", { type: "button", title: text, "aria-label": text, onclick: () => go({ ...UNFILTERED, ...filter, view: "gallery", i: answers.ids[row] }) }, picture(answers.sprite, row, ""));
    }),
  );
}
