// The search: every workspace, template and page, one key away.
const WAIT = 90;
let items = [];
let chosen = 0;
let asked = 0;
let timer = 0;

const dialog = () => document.getElementById("palette");
const input = () => dialog().querySelector("input");
const results = () => document.getElementById("palette-results");

export function open() {
  const box = dialog();
  if (box.open) return;
  if (!box.dataset.started) listen(box);
  input().value = "";
  box.showModal();
  ask("");
}

function listen(box) {
  box.dataset.started = "yes";
  input().addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => ask(input().value), WAIT);
  });
  input().addEventListener("keydown", key);
  box.addEventListener("click", (event) => {
    if (event.target === box) box.close();
  });
}

function key(event) {
  const moves = { ArrowDown: 1, ArrowUp: -1 };
  if (event.key in moves && items.length) {
    event.preventDefault();
    choose((chosen + moves[event.key] + items.length) % items.length);
  } else if (event.key === "Enter") {
    event.preventDefault();
    if (items[chosen]) location.assign(items[chosen].href);
  }
}

async function ask(text) {
  const turn = ++asked;
  try {
    const response = await fetch(`/search.json?q=${encodeURIComponent(text)}`, { headers: { Accept: "application/json" } });
    if (!response.ok) throw new Error(String(response.status));
    const found = await response.json();
    if (turn === asked) show(found.items, text);
  } catch {
    if (turn === asked) say("The search does not answer. Try again in a moment.");
  }
}

function show(found, text) {
  items = found;
  if (!items.length) {
    say(`Nothing is called “${text}”.`);
    return;
  }
  results().replaceChildren(...items.map(row));
  choose(0);
}

function say(text) {
  items = [];
  const line = document.createElement("p");
  line.className = "palette-none";
  line.textContent = text;
  results().replaceChildren(line);
  input().removeAttribute("aria-activedescendant");
  document.getElementById("spoken").textContent = text;
}

function row(item, index) {
  const link = document.createElement("a");
  link.className = "palette-item";
  link.href = item.href;
  link.id = `palette-${index}`;
  link.setAttribute("role", "option");
  link.tabIndex = -1;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${dialog().dataset.sprite}#${item.icon}`);
  svg.append(use);
  const title = document.createElement("span");
  title.textContent = item.title;
  const kind = document.createElement("span");
  kind.className = "soft";
  kind.textContent = item.kind;
  link.append(svg, title, kind);
  return link;
}

function choose(index) {
  chosen = index;
  for (const [at, link] of [...results().children].entries()) {
    link.setAttribute("aria-selected", String(at === index));
    if (at === index) link.scrollIntoView({ block: "nearest" });
  }
  input().setAttribute("aria-activedescendant", `palette-${index}`);
}
