// <stead-tags>: a list of words typed one by one. Without scripts it is a text area with a word on each line.
class SteadTags extends HTMLElement {
  connectedCallback() {
    if (this.area) return;
    this.area = this.querySelector("textarea");
    this.area.hidden = true;
    this.box = document.createElement("div");
    this.box.className = "tags form-control";
    this.entry = document.createElement("input");
    this.entry.type = "text";
    this.entry.id = this.area.id;
    this.area.removeAttribute("id");
    this.entry.setAttribute("aria-describedby", this.area.getAttribute("aria-describedby") ?? "");
    this.entry.placeholder = "Type, then press Enter";
    this.box.append(this.entry);
    this.append(this.box);
    this.entry.addEventListener("keydown", (event) => this.#key(event));
    this.entry.addEventListener("blur", () => this.#add());
    this.box.addEventListener("click", (event) => this.#click(event));
    this.area.addEventListener("stead:set", () => this.#draw());
    this.#draw();
  }

  get words() {
    return this.area.value.split("\n").map((word) => word.trim()).filter(Boolean);
  }

  set words(words) {
    this.area.value = words.join("\n");
    this.#draw();
    this.area.dispatchEvent(new Event("input", { bubbles: true }));
  }

  #key(event) {
    if (event.key === "Enter" || event.key === ",") {
      event.preventDefault();
      this.#add();
    } else if (event.key === "Backspace" && !this.entry.value) {
      this.words = this.words.slice(0, -1);
    }
  }

  #add() {
    const word = this.entry.value.trim();
    this.entry.value = "";
    if (word && !this.words.includes(word)) this.words = [...this.words, word];
  }

  #click(event) {
    const button = event.target.closest("button");
    if (button) this.words = this.words.filter((word) => word !== button.dataset.word);
    this.entry.focus();
  }

  #draw() {
    for (const tag of this.box.querySelectorAll(".tag")) tag.remove();
    for (const word of this.words) {
      const tag = document.createElement("span");
      tag.className = "tag";
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.word = word;
      button.setAttribute("aria-label", `Remove ${word}`);
      button.textContent = "×";
      tag.append(word, button);
      this.entry.before(tag);
    }
  }
}

customElements.define("stead-tags", SteadTags);
