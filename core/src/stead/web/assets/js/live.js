// <stead-live watch="STREAM" event="NAME" refresh="ADDRESS" target="#id">: whenever the stream tells of a change,
// the fragment at ADDRESS replaces #id, in place: focus, open menus and scroll positions stay.
import { Stream } from "./stream.js";

const AT_MOST_EVERY = 400;

class SteadLive extends HTMLElement {
  #stream = null;
  #last = 0;
  #timer = 0;
  #busy = false;
  #again = false;

  connectedCallback() {
    const heard = () => this.#soon();
    this.#stream = new Stream({
      resume: () => this.getAttribute("watch"),
      events: { [this.getAttribute("event")]: heard },
      fallback: () => this.#refresh(),
    });
    this.addEventListener("stead:refresh", heard);
  }

  disconnectedCallback() {
    this.#stream?.close();
    clearTimeout(this.#timer);
  }

  #soon() {
    if (this.#busy) {
      this.#again = true;
      return;
    }
    clearTimeout(this.#timer);
    const wait = Math.max(0, AT_MOST_EVERY - (Date.now() - this.#last));
    this.#timer = setTimeout(() => this.#refresh().catch(() => {}), wait);
  }

  async #refresh() {
    this.#busy = true;
    this.#last = Date.now();
    try {
      await this.#replace();
    } finally {
      this.#busy = false;
      if (this.#again) {
        this.#again = false;
        this.#soon();
      }
    }
  }

  /** A question that is open in the fragment must not be swept away; it is refreshed when that is answered. */
  #asking(target) {
    const dialog = target.querySelector("dialog[open]");
    dialog?.addEventListener("close", () => this.#soon(), { once: true });
    return dialog !== null;
  }

  async #replace() {
    const target = document.querySelector(this.getAttribute("target"));
    if (!target || this.#asking(target)) return;
    const response = await fetch(this.getAttribute("refresh") || location.href, {
      headers: { "HX-Request": "true", "HX-Request-Type": "partial", Accept: "text/html" },
    });
    if (response.redirected || response.status === 401) return location.reload();
    if (response.status === 404) return location.assign(this.getAttribute("gone") || "/");
    if (!response.ok) throw new Error(`The server answered ${response.status}.`);
    const text = await response.text();
    if (!this.isConnected || this.#asking(target)) return;
    await window.htmx.swap({ text, target, swap: "outerMorph", sourceElement: target, transition: false });
  }
}

customElements.define("stead-live", SteadLive);
