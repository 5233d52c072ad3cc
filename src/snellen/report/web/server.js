// What a page that `snellen view` serves can ask of it.

const TRIES = 4; // while others are asked for; a second apart

/** The server's answer to a picture that is sent; an Error with its sentence where it has none. */
export async function ask(path, body, wanted) {
  for (let left = TRIES; ; left -= 1) {
    let response;
    try {
      response = await fetch(path, body ? { method: "POST", body } : {});
    } catch {
      throw new Error("The viewer does not answer. Is `snellen view` still running?");
    }
    if (response.ok) return response.json();
    if (response.status !== 429 || left === 1 || !wanted()) throw new Error(await response.text());
    await new Promise((done) => setTimeout(done, 1000 * Number(response.headers.get("retry-after") ?? 1)));
  }
}

/** A picture of the run's data as it lies on the disk: {shown, square, size}; an Error with a sentence where it is not there. */
export function original(split, id) {
  return ask(`original?split=${split}&id=${id}`, null, () => true);
}
