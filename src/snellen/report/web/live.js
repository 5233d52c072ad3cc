// The page as `snellen view` serves it.

import { start } from "./main.js";
import { original } from "./server.js";
import { tryYours } from "./tryyours.js";

start({
  live: [{ name: "try", title: "Try your own", make: tryYours }],
  original,
  colophon: "This page comes from your own machine and talks to nobody else. Pictures you try are not kept.",
});
