// Menus are <details>: they open without a script. Here they close as people expect, and follow the arrow keys.
import htmx from "htmx.org/dist/htmx.esm.js";

function closeAll(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (menu !== except) menu.open = false;
  }
}

document.addEventListener("click", (event) => {
  const menu = event.target.closest("details.menu");
  const chosen = event.target.closest(".menu-item");
  closeAll(chosen ? null : menu);
});

document.addEventListener("keydown", (event) => {
  const menu = event.target.closest?.("details.menu[open]");
  if (!menu) return;
  if (event.key === "Escape") {
    menu.open = false;
    menu.querySelector("summary").focus();
    return;
  }
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  event.preventDefault();
  const items = [...menu.querySelectorAll(".menu-item")];
  const step = event.key === "ArrowDown" ? 1 : -1;
  const at = items.indexOf(document.activeElement);
  items.at((at + step + items.length) % items.length)?.focus();
});

// A live update draws a fragment as the server has it, where every <details> is as it was at first. Those that a
// person has opened or closed stay as they are.
const touched = new WeakSet();
document.addEventListener(
  "click",
  (event) => {
    const details = event.target.closest?.("summary")?.parentElement;
    if (details) touched.add(details);
  },
  true,
);
htmx.registerExtension("stead-details", {
  htmx_before_morph_attr: (element, { attrName }) => attrName !== "open" || !touched.has(element),
});
