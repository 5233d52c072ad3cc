// Try your own: a picture from the disk, the clipboard or the camera, and what the network makes of it.

import { bytesOf } from "./data.js";
import { camera } from "./camera.js";
import { h, replace, unseen } from "./dom.js";
import { layerCards } from "./inside.js";
import { framed } from "./original.js";
import { addSheet, dropSheet, picture } from "./pictures.js";
import { ask } from "./server.js";
import { percent } from "./words.js";

const FITS = [
  ["crop", "middle", "the middle square; the rest is cut off"],
  ["pad", "whole, with bars", "the whole picture, with grey bars"],
  ["squash", "whole, bent", "the whole picture, bent into a square"],
];
const GIVEN = {
  crop: "Framed: what the network was given.",
  pad: "The network was given all of it, and the bars.",
  squash: "The network was given all of it, bent into a square.",
};

const MOST_AT_ONCE = 50; // pictures given together

export function tryYours({ page, answers }) {
  const { classes, run } = answers;
  const { max_bytes: most, formats } = page.live;
  const number = page.runs.indexOf(run);
  let file = null;
  let fit = page.data.fit; // as in training
  let turn = 0;
  let sheets = [];

  const status = h("p", { class: "found", role: "status" });
  const result = h("div", { class: "tried" }); // what changes in it, the status says in one sentence
  const say = (text, wrong = false) => {
    status.classList.toggle("wrong", wrong);
    replace(status, text);
  };

  const look = async () => {
    const mine = (turn += 1); // a later picture makes an earlier one's answer late
    if (!file) return;
    if (file.size > most) return fail(`The file has ${(file.size / 1e6).toFixed(1)} MB; at most ${most / 1e6} MB are read.`);
    say("Looking …");
    try {
      const said = await ask(`answer?run=${number}&fit=${fit}`, file, () => mine === turn);
      if (mine !== turn) return;
      show(said, mine);
      say([unseen(`${classes[said.top[0][0]]}, ${percent(said.top[0][1])}. `), "Looking inside …"]);
      const seen = await ask(`explain?run=${number}`, new Blob([bytesOf(said.input.data)]), () => mine === turn);
      if (mine !== turn) return;
      replace(result.lastChild, inside(seen, said, mine));
      say(unseen(`${classes[said.top[0][0]]}, ${percent(said.top[0][1])}.`));
    } catch (error) {
      if (mine === turn) fail(error.message);
    }
  };

  const fail = (sentence) => {
    forget();
    replace(result);
    say(sentence, true);
  };

  const forget = () => {
    for (const name of sheets) dropSheet(name);
    sheets = [];
  };

  const sheetOf = (name, mine, described) => {
    const own = `${name}-${mine}`; // a new name each time: canvases of the last picture may still be waiting for theirs
    addSheet(own, described);
    sheets.push(own);
    return own;
  };

  const show = (said, mine) => {
    forget();
    const [shown, input] = [sheetOf("shown", mine, said.shown), sheetOf("input", mine, said.input)];
    replace(
      result,
      h("div", { class: "tried-columns" }, original(said, shown), own(said, input), verdict(said)),
      h("div", { class: "tried-inside" }),
    );
  };

  const original = ({ picture: read, square }, sheet) =>
    h(
      "figure",
      { class: "upload" },
      framed(sheet, 0, square, "The picture as it was read"),
      h("figcaption", {}, h("b", {}, `${read.format}, ${read.size.join("×")} pixels.`), ` ${GIVEN[fit]}`),
      read.notes.length ? h("ul", { class: "small" }, read.notes.map((note) => h("li", {}, note))) : null,
    );

  const own = (said, sheet) =>
    h(
      "figure",
      { class: "network-sees" },
      picture(sheet, 0, "The picture as the network sees it", "large"),
      h("figcaption", {}, h("b", {}, `As the network sees it: ${said.input.tile.join("×")} pixels.`), " It gets nothing else."),
    );

  const verdict = ({ top, unlike }) =>
    h(
      "div",
      { class: "testimony" },
      h("p", { class: "verdict" }, h("span", { class: "small" }, "The network says"), h("strong", {}, classes[top[0][0]])),
      h(
        "ol",
        { class: "bars", "aria-label": `The ${top.length} most probable classes` },
        top.map(([named, probability]) =>
          h(
            "li",
            {},
            h("span", { class: "name" }, classes[named]),
            h("span", { class: "track", "aria-hidden": "true" }, h("span", { class: "fill", style: { width: `${100 * probability}%` } })),
            h("span", { class: "value" }, percent(probability)),
          ),
        ),
      ),
      unlike ? h("p", { class: "unlike" }, `This picture is ${unlike}. It may show none of the ${classes.length} classes.`) : null,
      h("p", { class: "aside" }, `One view, no test-time augmentation. It knows ${classes.length} classes and names one of them, whatever it is shown; on pictures unlike ${page.data.name} its confidence has not been checked.`),
    );

  const inside = (seen, said, mine) => {
    const sheet = { sprite: `input-${mine}`, learned: sheetOf("near", mine, seen.learned) };
    return [
      h("h2", {}, "Layer views"),
      h("p", { class: "soft" }, `What speaks for ${said.top.slice(0, 2).map(([named]) => classes[named]).join(" and for ")} at three layers of ${run.recipe.model}, and the training pictures that look most alike from there.`),
      h("div", { class: "layers" }, layerCards({ classes, seen, layers: seen.layers, awaited: said.top[0][0], says: "the network", ...sheet })),
    ];
  };

  let pile = []; // of several pictures: {file, button}
  const piled = h("div", { class: "chips pile", role: "group", "aria-label": "Pictures given together" });
  const take = (chosen) => {
    const files = [...(chosen ?? [])].slice(0, MOST_AT_ONCE);
    if (!files.length) return;
    pile = files.length < 2 ? [] : files.map((each) => ({ file: each, button: h("button", { type: "button", class: "chip", onclick: () => pick(each) }, each.name || "picture") }));
    replace(piled, pile.map(({ button }) => button));
    pick(files[0]);
    askAll(pile);
  };
  const pick = (chosen) => {
    file = chosen;
    for (const each of pile) each.button.setAttribute("aria-pressed", String(each.file === chosen));
    look();
  };
  /** One after another, what the network says of each of several. */
  const askAll = async (mine) => {
    for (const each of mine) {
      if (mine !== pile) return;
      let told;
      try {
        const { top } = await ask(`answer?run=${number}&fit=${fit}`, each.file, () => mine === pile);
        told = `${classes[top[0][0]]} ${percent(top[0][1], 0)}`;
      } catch {
        told = "cannot be read";
      }
      replace(each.button, each.file.name || "picture", h("b", {}, told));
    }
  };
  const fits = FITS.map(([name, text, title]) =>
    h("button", { type: "button", class: "chip", title, "aria-pressed": String(name === fit), onclick: () => choose(name) }, text),
  );
  const choose = (name) => {
    fit = name;
    fits.forEach((button, at) => button.setAttribute("aria-pressed", FITS[at][0] === fit));
    look();
    askAll(pile);
  };
  const watch = camera({ take: (frame) => take([frame]), ask: (frame) => ask(`answer?run=${number}&fit=${fit}`, frame, () => true), classes });
  const door = entrance(take, formats, watch.button);
  const element = h(
    "section",
    { class: "try" },
    h("h2", {}, "Try your own"),
    h("p", { class: "soft" }, "Your picture goes to the program you started on this machine and no further. It is looked at in memory and not kept."),
    door,
    watch.element,
    h("div", { class: "filters fits", role: "group", "aria-label": "How the picture becomes square" }, h("span", { class: "small" }, "Made square by taking"), h("div", { class: "chips" }, fits)),
    piled,
    status,
    result,
  );
  whileShown(element, door, take);
  return { element, update() {} };
}

/** Buttons for files and for the camera: on a phone its own, else the one of this machine. */
function entrance(take, formats, watch) {
  const accept = formats.map((format) => `image/${format.toLowerCase()}`).join(",");
  const input = (attributes) => h("input", { type: "file", hidden: true, onchange: (event) => (take([...event.target.files]), (event.target.value = "")), ...attributes });
  const [disk, camera] = [input({ accept, multiple: true, class: "from-disk" }), input({ accept: "image/*", capture: "environment", class: "from-camera" })];
  return h(
    "div",
    { class: "card entrance" },
    h("button", { type: "button", class: "chip", onclick: () => disk.click() }, "Choose pictures"),
    h("button", { type: "button", class: "chip by-hand", onclick: () => camera.click() }, "Take a photograph"),
    watch,
    h("span", { class: "soft" }, "or drop some here, or paste one from the clipboard."),
    disk,
    camera,
  );
}

/** Pictures dropped or pasted anywhere on the page while the view is shown. */
function whileShown(element, door, take) {
  const on = (name, act) => addEventListener(name, (event) => element.isConnected && act(event));
  const lit = (event, is) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault(); // else the browser would leave the page and show the file
    door.classList.toggle("is-over", is);
  };
  on("dragover", (event) => lit(event, true));
  on("dragleave", (event) => lit(event, event.relatedTarget != null));
  on("drop", (event) => {
    lit(event, false);
    take([...event.dataTransfer.files]);
  });
  on("paste", (event) => take([...event.clipboardData.files].filter((file) => file.type.startsWith("image/"))));
}
