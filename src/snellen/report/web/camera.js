// This machine's camera: what the network says while one holds something before it, and a frame to be looked at closely.

import { h, replace } from "./dom.js";
import { percent } from "./words.js";

const EVERY = 600; // milliseconds between two questions
const LONGEST = 640; // pixels of a frame

/** {button, element}: `ask(frame)` gives the network's answer to a frame, `take(frame)` looks at one closely. */
export function camera({ take, ask, classes }) {
  const video = h("video", { muted: true, playsinline: true, "aria-label": "What the camera sees" });
  const told = h("p", { class: "verdict" });
  const element = h("div", { class: "camera card", hidden: true }, video, h("div", {}, h("span", { class: "small" }, "The network says"), told, h("div", { class: "chips" }, h("button", { type: "button", class: "chip strong", onclick: () => keep() }, "Look at this one"), h("button", { type: "button", class: "chip", onclick: () => stop() }, "Camera off"))));
  const button = h("button", { type: "button", class: "chip with-camera", hidden: !navigator.mediaDevices?.getUserMedia, onclick: () => (stream ? stop() : start()) }, "Use the camera");
  let stream = null;

  const start = async () => {
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: LONGEST } } });
    } catch (error) {
      element.hidden = false;
      replace(told, error.name === "NotAllowedError" ? "The browser was not allowed to use the camera." : "No camera was found.");
      return;
    }
    element.hidden = false;
    replace(told, "Looking …");
    video.srcObject = stream;
    await video.play();
    watch(stream);
  };
  const stop = () => {
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = null;
    video.srcObject = null;
    replace(told);
    element.hidden = true;
  };
  const frame = () => {
    const scale = Math.min(1, LONGEST / Math.max(video.videoWidth, video.videoHeight, 1));
    const canvas = h("canvas", { width: Math.round(video.videoWidth * scale), height: Math.round(video.videoHeight * scale) });
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.9));
  };
  /** Ask again and again, until the camera is off or its view is left: then the light goes out as well. */
  const watch = async (mine) => {
    while (mine === stream) {
      if (!element.isConnected) return stop();
      try {
        const { top, unlike } = await ask(await frame());
        if (mine !== stream) return;
        replace(told, h("strong", {}, classes[top[0][0]]), ` ${percent(top[0][1], 0)}`, unlike ? h("span", { class: "small" }, "unlike the training pictures") : null);
      } catch (error) {
        replace(told, error.message);
      }
      await new Promise((done) => setTimeout(done, EVERY));
    }
  };
  const keep = async () => {
    const kept = await frame();
    stop();
    take(kept);
  };
  return { button, element };
}
