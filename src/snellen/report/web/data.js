// From the packed page to numbers that can be asked for.

const TYPES = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, u8: BigUint64Array, i4: Int32Array, f4: Float32Array };
const STEPS = 65535; // fractions are stored in steps of 1/65535

/** The page's content; in the live viewer it would come from the server instead. */
export function readPage() {
  return JSON.parse(document.getElementById("page").textContent);
}

/** A packed column as a typed array. */
export function unpack({ type, data }) {
  return new TYPES[type](bytesOf(data).buffer); // little-endian, as every machine that runs a browser
}

/** Base64 as bytes. */
export function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return bytes;
}

/** One run's answers on one split. Rows are positions among the pictures in the page, not ids. */
export function openAnswers(page, split, run) {
  const { ids, labels, hashes, names } = picturesOf(page, split);
  const own = page.splits[split].runs[run];
  const columns = Object.fromEntries(Object.entries(own.rows).map(([name, packed]) => [name, unpack(packed)]));
  const width = own.top_count;
  const answers = {
    ...own,
    split,
    run: page.runs[run],
    scores: own.classes,
    classes: page.data.classes,
    sprite: split,
    shown: ids.length,
    ids,
    labels,
    named: names !== null,
    name: (row) => names?.[row] ?? `#${ids[row]}`,
    hash: (row) => hashes[row].toString(16).padStart(16, "0"),
    group: columns.group,
    place: columns.place,
    issue: columns.label_issue,
    issues: columns.label_issue.reduce((largest, rank) => Math.max(largest, rank), 0),
    topCount: width,
    top: (row, rank) => columns.top[row * width + rank],
    probability: (row, rank) => columns.probability[row * width + rank] / STEPS,
    confidence: (row) => columns.probability[row * width] / STEPS,
    own: (row) => columns.own[row] / STEPS,
    right: (row) => columns.top[row * width] === labels[row],
  };
  if (own.geometry) {
    const [cosine, count] = [unpack(own.geometry.cosine), answers.classes.length];
    answers.cosine = (a, b) => cosine[a * count + b]; // NaN where a class has no picture
  }
  answers.rowOf = new Map(Array.from(ids, (id, row) => [id, row]));
  answers.mistakes = Array.from(ids.keys()).reduce((sum, row) => sum + !answers.right(row), 0); // of those in the page
  answers.inOrder = Array.from(ids.keys()).sort(
    (a, b) => GROUP_ORDER[answers.group[a]] - GROUP_ORDER[answers.group[b]] || answers.place[a] - answers.place[b],
  );
  return answers;
}

const GROUP_ORDER = [3, 2, 1, 0]; // the mistakes made with most conviction come first

const picturesOf = (page, split) => {
  const { ids, labels, hashes, names } = page.splits[split];
  return { ids: unpack(ids), labels: unpack(labels), hashes: unpack(hashes), names };
};

/** How pictures can be sorted: name -> {title, order in words, key(answers, row)}; equal keys stay as `inOrder` has them. */
export const SORTS = {
  telling: { title: "most telling mistakes", order: "the most telling mistakes first" },
  doubt: { title: "most doubted labels", order: "the most doubted labels first", key: (answers, row) => answers.issue[row] || Infinity },
  loss: { title: "label least probable", order: "those whose label got least first", key: (answers, row) => answers.own(row) },
  sure: { title: "surest", order: "the surest first", key: (answers, row) => -answers.confidence(row) },
  unsure: { title: "least sure", order: "the least sure first", key: (answers, row) => answers.confidence(row) },
  name: { title: "file name", order: "by name", key: (answers, row) => answers.name(row) },
};

/** Whom the sort goes by: the one asked for, or for doubted labels their rank. */
export function sortOf({ view, sort, q }) {
  return Object.hasOwn(SORTS, sort ?? "") ? sort : view === "labels" || /\bdoubted\b/i.test(q ?? "") ? "doubt" : "telling";
}

function sorted(answers, rows, sort) {
  const { key } = SORTS[sort];
  if (!key) return rows;
  const keyed = rows.map((row) => [key(answers, row), row]);
  const compare = ([a], [b]) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a < b ? -1 : a > b ? 1 : 0);
  return keyed.sort(compare).map(([, row]) => row);
}

/**
 * Rows that fit a filter, sorted: `group`, `label`, `said` are numbers, `pair` and `sure` (in percent) two of them,
 * `query` is text, `among(row)` whether a row may be shown at all, `sort` is one of `SORTS`; or null.
 */
export function filterRows(answers, { group, label, said, pair, sure, query, among, sort }) {
  const words = (query ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const tests = words.map((word) => wordTest(answers, word));
  const rows = answers.inOrder.filter(
    (row) =>
      (group == null || answers.group[row] === group) &&
      (label == null || answers.labels[row] === label) &&
      (said == null || answers.top(row, 0) === said) &&
      (pair == null || mixedUp(answers, row, pair)) &&
      (sure == null || (100 * answers.confidence(row) >= sure[0] && 100 * answers.confidence(row) <= sure[1])) &&
      (among == null || among(row)) &&
      tests.every((test) => test(row)),
  );
  return sorted(answers, rows, sort ?? "telling");
}

/** Whether a picture of one class of the pair was taken for the other, in either direction. */
export function mixedUp(answers, row, [first, second]) {
  const [label, said] = [answers.labels[row], answers.top(row, 0)];
  return (label === first && said === second) || (label === second && said === first);
}

/** "3-5" as [3, 5]; null where it is nothing like that or names a class there is not. */
export function readPair(text, classes) {
  const found = /^(\d{1,4})-(\d{1,4})$/.exec(text ?? "");
  const pair = found?.slice(1).map(Number);
  return pair?.every((at) => at < classes.length) ? pair : null;
}

/** "30-80" as [30, 80]; null where it is nothing like that. */
export function readRange(text) {
  const found = /^(\d{1,3})-(\d{1,3})$/.exec(text ?? "");
  return found ? found.slice(1).map(Number) : null;
}

/** One word of a search: a number is an id (or part of a name), "cat>dog" a mistake, "wrong", "right", "doubted" what they say, else part of a class's or a file's name. */
function wordTest(answers, word) {
  const named = answers.classes.map((name) => name.toLowerCase());
  if (/^#?\d+$/.test(word)) {
    const id = Number(word.replace("#", ""));
    return (row) => answers.ids[row] === id || (answers.named && answers.name(row).includes(word));
  }
  if (word === "wrong") return (row) => !answers.right(row);
  if (word === "right") return (row) => answers.right(row);
  if (word === "doubted") return (row) => answers.issue[row] > 0;
  if (word.includes(">") && word.length > 1) {
    const [from, to] = word.split(">", 2);
    return (row) => named[answers.labels[row]].includes(from) && named[answers.top(row, 0)].includes(to);
  }
  return (row) => named[answers.labels[row]].includes(word) || named[answers.top(row, 0)].includes(word) || (answers.named && answers.name(row).toLowerCase().includes(word));
}
