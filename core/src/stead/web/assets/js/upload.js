// Shows which archive was chosen, and takes one that is dropped.
const UNITS = ["bytes", "KB", "MB", "GB"];

function size(bytes) {
  const step = bytes < 1000 ? 0 : Math.min(3, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** step;
  return `${step && value < 10 ? value.toFixed(1) : Math.round(value)} ${UNITS[step]}`;
}

export function start(root) {
  for (const area of root.querySelectorAll("[data-drop]")) {
    if (area.dataset.started) continue;
    area.dataset.started = "yes";
    const input = area.querySelector("input[type=file]");
    const words = area.querySelector("[data-drop-text]");
    const show = () => {
      const [file] = input.files;
      if (!file) return;
      words.textContent = `${file.name}, ${size(file.size)}`;
      const name = area.closest("form").querySelector("[data-name-from-file]");
      if (name && !name.value) {
        name.value = file.name.replace(/(\.tar)?\.(gz|zip|tar|tgz|zst)$/, "").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
      }
    };
    input.addEventListener("change", show);
    for (const kind of ["dragenter", "dragover"]) {
      area.addEventListener(kind, (event) => {
        event.preventDefault();
        area.classList.add("is-over");
      });
    }
    for (const kind of ["dragleave", "drop"]) area.addEventListener(kind, () => area.classList.remove("is-over"));
    area.addEventListener("drop", (event) => {
      event.preventDefault();
      if (!event.dataTransfer.files.length) return;
      input.files = event.dataTransfer.files;
      show();
    });
  }
}
