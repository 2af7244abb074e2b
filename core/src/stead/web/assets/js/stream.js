// Server-sent events that end when nobody looks and come back when somebody does.
//
// Browsers give one host few connections, so a hidden tab must not hold any. `resume` returns the address to
// open, so that a log goes on after its last line.
const PATIENCE = 4000;
const LONGEST = 30_000;

export class Stream {
  #source = null;
  #timer = 0;
  #wait = 1000;
  #silent = 0;

  constructor({ resume, events, fallback }) {
    this.resume = resume;
    this.events = events;
    this.fallback = fallback;
    this.ended = false;
    this.onVisibility = () => this.#follow();
    document.addEventListener("visibilitychange", this.onVisibility);
    window.addEventListener("pagehide", this.onVisibility);
    this.#follow();
  }

  #follow() {
    if (this.ended) return;
    clearTimeout(this.#timer);
    if (document.visibilityState === "hidden") {
      this.#timer = setTimeout(() => this.#drop(), PATIENCE);
    } else if (!this.#source) {
      this.#open();
    }
  }

  #open() {
    const source = new EventSource(this.resume());
    this.#source = source;
    source.addEventListener("open", () => {
      this.#wait = 1000;
      this.#silent = 0;
      mark(this, false);
    });
    source.addEventListener("error", () => this.#failed(source));
    for (const [name, handler] of Object.entries(this.events)) {
      source.addEventListener(name, (event) => handler(event.data ? JSON.parse(event.data) : null, event));
    }
  }

  async #failed(source) {
    if (this.#source !== source || this.ended) return;
    this.#drop();
    this.#silent += 1;
    if (this.#silent > 1) mark(this, true);
    if (this.fallback) await this.fallback().then(() => mark(this, false), () => {});
    if (this.ended) return;
    this.#timer = setTimeout(() => this.#follow(), this.#wait * (0.75 + Math.random() / 2));
    this.#wait = Math.min(this.#wait * 2, LONGEST);
  }

  #drop() {
    this.#source?.close();
    this.#source = null;
  }

  close() {
    this.ended = true;
    clearTimeout(this.#timer);
    this.#drop();
    mark(this, false);
    document.removeEventListener("visibilitychange", this.onVisibility);
    window.removeEventListener("pagehide", this.onVisibility);
  }
}

const lost = new Set();
function mark(stream, isLost) {
  if (isLost) lost.add(stream);
  else lost.delete(stream);
  document.documentElement.classList.toggle("is-offline", lost.size > 0);
}
