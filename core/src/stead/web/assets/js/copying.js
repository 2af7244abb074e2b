// Copies a text, and says so at the button and to screen readers.
const DONE_FOR = 1800;

async function write(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return writeTheOldWay(text); // No clipboard on plain HTTP.
  }
}

function writeTheOldWay(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.setAttribute("readonly", "");
  const home = document.querySelector("dialog[open]") ?? document.body;
  home.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  return copied;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  event.preventDefault();
  const copied = await write(button.dataset.copy);
  const label = button.querySelector("[data-copy-label]");
  const before = label?.textContent;
  button.classList.toggle("is-done", copied);
  const use = button.querySelector("use");
  const glyph = use?.getAttribute("href");
  if (copied && glyph) use.setAttribute("href", glyph.replace(/#.*/, "#check"));
  if (label) label.textContent = copied ? "Copied" : "Press Ctrl+C";
  document.getElementById("spoken").textContent = copied ? "Copied" : "Could not copy";
  button.focus();
  setTimeout(() => {
    button.classList.remove("is-done");
    if (label) label.textContent = before;
    if (glyph) use.setAttribute("href", glyph);
  }, DONE_FOR);
});
