// <stead-log stream="ADDRESS" lines="ADDRESS" anchor="L">: a log of any length.
//
// What there is comes as one answer of JSON lines; what comes later, where the log has not ended, as events. All
// lines are kept, but only the rows in view exist. Rows have one height, so a line's place is known without
// measuring. It follows the end until somebody scrolls up, finds, and links to a line (#L120).
import { overwritten, plain, runs } from "./ansi.js";
import { Stream } from "./stream.js";

const SPARE = 6;
const BY_HAND = 1000; // milliseconds after a wheel, a finger or a key in which scrolling is theirs

class SteadLog extends HTMLElement {
  #lines = [];
  #last = 0;
  #rows = [];
  #stream = null;
  #frame = 0;
  #found = [];
  #at = -1;
  #query = "";
  #linked = 0;
  #following = true;
  #clicking = false;

  connectedCallback() {
    if (!this.view) this.#build();
    this.#readHash();
    this.onHash = () => this.#readHash(true);
    window.addEventListener("hashchange", this.onHash);
    this.sizes = new ResizeObserver(() => this.#draw());
    this.sizes.observe(this.view);
    this.#begin();
  }

  async #begin() {
    this.leaving = new AbortController();
    const { signal } = this.leaving;
    await this.#read(signal).catch(() => {});
    if (signal.aborted || this.hasAttribute("ended")) return;
    this.#stream = new Stream({
      resume: () => withAfter(this.getAttribute("stream"), this.#last),
      events: { line: (line) => this.#take([line]), end: () => this.#end() },
      fallback: () => this.#read(signal),
    });
  }

  disconnectedCallback() {
    this.leaving?.abort();
    this.#stream?.close();
    this.sizes?.disconnect();
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    window.removeEventListener("hashchange", this.onHash);
  }

  #build() {
    this.view = this.querySelector(".log-view");
    this.count = this.querySelector("[data-log-count]");
    this.wait = this.querySelector("[data-log-wait]");
    this.follow = this.querySelector("[data-log-follow]");
    this.find = this.querySelector("[data-log-find]");
    this.foundText = this.querySelector("[data-log-found]");
    this.anchor = this.getAttribute("anchor") ?? "L";
    this.longest = 0;
    this.space = document.createElement("div");
    this.space.className = "log-space";
    this.rows = document.createElement("div");
    this.rows.className = "log-rows";
    this.height = parseFloat(getComputedStyle(this.view).lineHeight);
    this.view.querySelector(".log-plain")?.remove();
    this.view.append(this.space, this.rows);
    this.view.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.touched = -BY_HAND;
    for (const kind of ["wheel", "touchmove", "pointerdown", "keydown"]) {
      this.view.addEventListener(kind, () => (this.touched = performance.now()), { passive: true });
    }
    this.view.addEventListener("keydown", (event) => this.#key(event));
    this.follow?.addEventListener("click", () => this.#setFollow(!this.#following));
    this.find?.addEventListener("input", () => this.#search(this.find.value));
    this.find?.addEventListener("keydown", (event) => this.#findKey(event));
    this.querySelector("[data-log-next]")?.addEventListener("click", () => this.#go(1));
    this.querySelector("[data-log-previous]")?.addEventListener("click", () => this.#go(-1));
    this.rows.addEventListener("click", (event) => this.#link(event));
  }

  // Lines ----------------------------------------------------------------------------------------
  #take(lines) {
    for (const line of lines) {
      if (line.id <= this.#last) continue;
      this.#last = line.id;
      this.longest = Math.max(this.longest, line.text.length);
      const index = this.#lines.push(line) - 1;
      if (this.#query && this.#matches(line)) this.#found.push(index);
    }
    this.#draw();
  }

  /** Everything after the last known line, shown as it arrives. */
  async #read(signal) {
    const response = await fetch(withAfter(this.getAttribute("lines"), this.#last), { signal });
    if (!response.ok) throw new Error(`The server answered ${response.status}.`);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      const parts = (rest + (value ?? "")).split("\n");
      rest = parts.pop();
      this.#take(parts.map(parse));
      if (done) break;
    }
    this.read = true;
    this.#draw();
  }

  #end() {
    this.#stream.close();
    this.toggleAttribute("ended", true);
    this.#draw();
    this.dispatchEvent(new CustomEvent("stead:refresh", { bubbles: true }));
    for (const live of document.querySelectorAll("stead-live")) live.dispatchEvent(new Event("stead:refresh"));
  }

  // Drawing --------------------------------------------------------------------------------------
  #draw() {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#render();
    });
  }

  #render() {
    const total = this.#lines.length;
    this.space.style.height = `${total * this.height + 8}px`;
    // A log that has ended takes no more room than it needs; the last row is a spare one for a scroll bar.
    if (this.hasAttribute("ended")) this.view.style.setProperty("--log-content", `${(total + 1) * this.height + 8}px`);
    if (this.#linked && this.#lines.some((line) => line.id === this.#linked)) this.#showLinked();
    else if (this.#following && total) this.view.scrollTop = total * this.height;
    const top = this.view.scrollTop;
    const size = Math.ceil(this.view.clientHeight / this.height) + 2 * SPARE;
    const first = Math.max(0, Math.floor(top / this.height) - SPARE);
    const last = Math.min(total, first + size);
    this.rows.style.width = `calc(${Math.min(this.longest, 20_000)}ch + 22rem)`;
    while (this.#rows.length < size) this.#rows.push(this.rows.appendChild(makeRow()));
    while (this.#rows.length > size) this.#rows.pop().remove();
    // A line always has the same one of the rows, so scrolling a little changes only a few of them.
    for (let at = first; at < first + size; at += 1) {
      const row = this.#rows[at % size];
      row.hidden = at >= last;
      if (at < last) this.#fill(row, at);
    }
    this.#tell(total);
  }

  #fill(row, index) {
    const line = this.#lines[index];
    const current = this.#found[this.#at] === index;
    const key = `${line.id}|${this.#query}|${current}|${this.shown === line.id}`;
    if (row.drawn === key) return;
    row.drawn = key;
    row.style.top = `${index * this.height}px`;
    row.className = `log-row log-${line.level}`;
    row.classList.toggle("is-found", current);
    row.classList.toggle("is-linked", this.shown === line.id);
    const [number, time, source, text] = row.children;
    number.textContent = line.id;
    number.href = `#${this.anchor}${line.id}`;
    time.textContent = clock(line.at);
    const before = this.#lines[index - 1];
    source.textContent = before?.source === line.source ? "" : line.source;
    const found = pieces(line.text, this.#query);
    if (found.length === 1 && typeof found[0] === "string") text.textContent = found[0];
    else text.replaceChildren(...found);
  }

  #tell(total) {
    if (this.count) this.count.textContent = total === 1 ? "1 line" : `${total.toLocaleString("en-US")} lines`;
    if (this.wait) {
      this.wait.hidden = total > 0;
      if (!total && this.read && this.hasAttribute("ended")) this.wait.textContent = "Nothing was written.";
    }
    this.follow?.setAttribute("aria-pressed", String(this.#following));
    this.#tellFound();
  }

  // Following ------------------------------------------------------------------------------------
  #scrolled() {
    // Only people change their mind: places that are scrolled to from here, or by a growing log, do not.
    if (performance.now() - this.touched < BY_HAND) {
      const gap = this.view.scrollHeight - this.view.clientHeight - this.view.scrollTop;
      this.#following = gap < this.height * 2;
      this.#linked = 0;
    }
    this.#draw();
  }

  #setFollow(on) {
    this.#following = on;
    this.#linked = 0;
    this.#draw();
  }

  // Finding --------------------------------------------------------------------------------------
  #matches(line) {
    line.plain ??= plain(line.text).toLowerCase();
    return line.plain.includes(this.#query);
  }

  #search(text) {
    this.#query = text.trim().toLowerCase();
    this.#found = [];
    this.#at = -1;
    if (this.#query) {
      this.#lines.forEach((line, index) => {
        if (this.#matches(line)) this.#found.push(index);
      });
      const seen = Math.floor(this.view.scrollTop / this.height);
      const next = this.#found.findIndex((index) => index >= seen);
      if (this.#found.length) this.#go(0, Math.max(0, next));
    }
    this.#draw();
  }

  #go(step, to = this.#at + step) {
    if (!this.#found.length) return;
    this.#at = (to + this.#found.length) % this.#found.length;
    this.#following = false;
    this.#linked = 0;
    this.#centre(this.#found[this.#at]);
  }

  #centre(index) {
    this.view.scrollTop = index * this.height - this.view.clientHeight / 2;
    this.#draw();
  }

  #tellFound() {
    if (!this.foundText) return;
    const words = this.#found.length ? `${this.#at + 1}/${this.#found.length}` : "none";
    this.foundText.textContent = this.#query ? words : "";
  }

  #findKey(event) {
    if (event.key === "Enter") {
      event.preventDefault();
      this.#go(event.shiftKey ? -1 : 1);
    } else if (event.key === "Escape") {
      this.find.value = "";
      this.#search("");
      this.view.focus();
    }
  }

  #key(event) {
    const find = event.key === "/" || (event.key === "f" && (event.ctrlKey || event.metaKey));
    if (find && this.find) {
      event.preventDefault();
      event.stopPropagation();
      this.find.focus();
    } else if (event.key === "End") {
      this.#setFollow(true);
    } else if (event.key === "Home") {
      this.#setFollow(false);
      this.view.scrollTop = 0;
    }
  }

  // Links to lines -------------------------------------------------------------------------------
  #readHash() {
    const id = location.hash.startsWith(`#${this.anchor}`) ? Number(location.hash.slice(this.anchor.length + 1)) : 0;
    if (!id) return;
    this.shown = id;
    if (this.#clicking) return;
    this.#linked = id;
    this.#following = false;
    this.closest("details:not([open])")?.querySelector("summary").click();
    this.scrollIntoView({ block: "nearest" });
    this.#draw();
  }

  #showLinked() {
    const index = this.#lines.findIndex((line) => line.id === this.#linked);
    this.#linked = 0;
    this.view.scrollTop = index * this.height - this.view.clientHeight / 2;
  }

  #link(event) {
    const number = event.target.closest(".log-number");
    if (!number) return;
    event.preventDefault();
    this.#clicking = true;
    history.replaceState(history.state, "", number.getAttribute("href"));
    this.#readHash();
    this.#clicking = false;
    this.#following = false;
    this.#draw();
  }
}

function makeRow() {
  const row = document.createElement("div");
  const number = document.createElement("a");
  number.className = "log-number";
  number.tabIndex = -1;
  row.append(number);
  for (const name of ["log-time", "log-source", "log-text"]) {
    const part = document.createElement("span");
    part.className = name;
    row.append(part);
  }
  return row;
}

function pieces(raw, query) {
  return runs(overwritten(raw)).flatMap(({ text, classes }) => {
    const parts = query ? marked(text, query) : [text];
    if (!classes) return parts;
    const span = document.createElement("span");
    span.className = classes;
    span.append(...parts);
    return [span];
  });
}

function marked(text, query) {
  const parts = [];
  const lower = text.toLowerCase();
  let from = 0;
  for (let at = lower.indexOf(query); at >= 0; at = lower.indexOf(query, from)) {
    const mark = document.createElement("mark");
    mark.textContent = text.slice(at, at + query.length);
    parts.push(text.slice(from, at), mark);
    from = at + query.length;
  }
  parts.push(text.slice(from));
  return parts;
}

const pad = (number) => String(number).padStart(2, "0");
function clock(iso) {
  const at = new Date(iso);
  return `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
}

function parse(text) {
  const [id, at, level, source, words] = JSON.parse(text);
  return { id, at, level, source, text: words };
}

function withAfter(address, after) {
  const url = new URL(address, location.href);
  url.searchParams.set("after", after);
  return url.href;
}

customElements.define("stead-log", SteadLog);
