// The page as one file on a disk.

import { start } from "./main.js";

start({ colophon: "This page is one file: it loads nothing and sends nothing." });
