// What every page runs. Widgets are loaded where a page has them.
import htmx from "htmx.org/dist/htmx.esm.js";
import "./clock.js";
import "./copying.js";
import "./dialogs.js";
import "./live.js";
import "./menus.js";
import "./navigation.js";
import "./theme.js";
import { toast } from "./toasts.js";

document.documentElement.classList.add("js");

const WIDGETS = {
  "stead-log": () => import("./log.js"),
  "stead-tags": () => import("./tags.js"),
  "form[data-parameters]": () => import("./parameters.js"),
  "form[data-passkey]": () => import("./passkeys.js"),
  "[data-drop]": () => import("./upload.js"),
};

async function load(root) {
  for (const [selector, module] of Object.entries(WIDGETS)) {
    if (!root.querySelector(selector)) continue;
    const { start } = await module();
    start?.(root);
  }
}

// A search that opens with a key is fetched when it is first wanted.
async function openPalette() {
  const { open } = await import("./palette.js");
  open();
}
document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-palette]") || event.metaKey || event.ctrlKey) return;
  event.preventDefault();
  openPalette();
});
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable], .log-view");
  const wanted = (event.key === "k" && (event.metaKey || event.ctrlKey)) || (event.key === "/" && !typing);
  if (!wanted || !document.querySelector("[data-palette]")) return;
  event.preventDefault();
  openPalette();
});

document.addEventListener("htmx:after:swap", () => load(document));
document.addEventListener("htmx:error", () => {
  toast("The server did not answer. Check your connection and try again.", "bad");
});

window.htmx = htmx;
load(document);
