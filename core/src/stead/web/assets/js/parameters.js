// Checks a form of parameters as one types. The server checks again; this only tells sooner.
const AFTER_TYPING = 350;

export function start(root) {
  for (const form of root.querySelectorAll("form[data-parameters]")) {
    if (form.dataset.started) continue;
    form.dataset.started = "yes";
    form.noValidate = true;
    new Parameters(form);
  }
}

class Parameters {
  constructor(form) {
    this.form = form;
    this.timers = new Map();
    form.addEventListener("input", (event) => this.#typed(event));
    form.addEventListener("change", (event) => this.#changed(event));
    form.addEventListener("focusout", (event) => this.#left(event));
    form.addEventListener("submit", (event) => this.#submit(event), true);
    // Somebody may have chosen before this script was there.
    const chosen = form.querySelector("[data-preset]:checked");
    if (chosen && !chosen.defaultChecked) this.#applyPreset(JSON.parse(chosen.dataset.preset));
  }

  #typed(event) {
    mirrorSlider(event.target);
    const field = event.target.closest(".field");
    if (!field) return;
    clearTimeout(this.timers.get(field));
    const wasWrong = field.classList.contains("is-wrong");
    this.timers.set(field, setTimeout(() => this.#check(field), wasWrong ? 0 : AFTER_TYPING));
    if (event.isTrusted && !event.target.closest("[data-presets]")) this.#leavePreset(field);
  }

  #changed(event) {
    const preset = event.target.closest("[data-preset]");
    if (preset) this.#applyPreset(JSON.parse(preset.dataset.preset));
  }

  #left(event) {
    const field = event.target.closest(".field");
    if (!field || field.contains(event.relatedTarget) || field.classList.contains("is-wrong")) return;
    // Later, because a message that appears now would move what is just being clicked from under the pointer.
    if (event.target.value) setTimeout(() => this.#check(field), AFTER_TYPING);
  }

  #submit(event) {
    const wrong = [...this.form.querySelectorAll(".field")].filter((field) => !this.#check(field));
    if (!wrong.length) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    wrong[0].querySelector("input:not([type=hidden]), select, textarea:not([hidden])").focus();
  }

  #check(field) {
    const message = problem(field);
    const box = field.querySelector(".form-problem");
    if (!box) return true;
    field.classList.toggle("is-wrong", Boolean(message));
    box.textContent = message;
    box.hidden = !message;
    for (const control of controls(field)) control.setAttribute("aria-invalid", String(Boolean(message)));
    return !message;
  }

  #applyPreset(values) {
    this.applying = true;
    for (const [name, value] of Object.entries(values)) {
      const field = this.form.querySelector(`.field[data-parameter="${CSS.escape(name)}"]`);
      if (!field) continue;
      assign(field, value);
      this.#check(field);
    }
    this.applying = false;
  }

  #leavePreset(field) {
    const chosen = this.form.querySelector("[data-preset]:checked");
    if (this.applying || !chosen || !field.dataset.parameter) return;
    if (!(field.dataset.parameter in JSON.parse(chosen.dataset.preset))) return;
    const none = this.form.querySelector("[data-preset='{}']");
    if (none) none.checked = true;
  }
}

function controls(field) {
  return [...field.querySelectorAll("input:not([type=hidden]), select, textarea")];
}

function mirrorSlider(control) {
  const slider = control.closest?.(".slider");
  if (!slider) return;
  for (const other of slider.querySelectorAll("input")) if (other !== control) other.value = control.value;
}

function value(field) {
  const all = controls(field).filter((control) => control.name);
  const boxes = all.filter((control) => ["radio", "checkbox"].includes(control.type));
  if (boxes.length) return boxes.filter((box) => box.checked).map((box) => box.value).join("\n");
  return all.at(-1)?.value ?? "";
}

function assign(field, wanted) {
  const list = field.dataset.type === "list(string)" && wanted.startsWith("[") ? JSON.parse(wanted) : [wanted];
  for (const control of controls(field)) {
    if (control.type === "radio") control.checked = control.value === wanted;
    else if (control.type === "checkbox") control.checked = list.includes(control.value);
    else control.value = field.dataset.type === "list(string)" ? list.join("\n") : wanted;
    control.dispatchEvent(new Event("stead:set"));
  }
}

function problem(field) {
  const text = value(field);
  const { required, type, min, max, regex, error, previous, monotonic, pattern, patternError } = field.dataset;
  if (required !== undefined && !text.trim()) return "A value is needed here.";
  if (!text) return "";
  if (pattern && !new RegExp(pattern).test(text)) return patternError;
  if (type === "number") return numberProblem(text, { min, max, error, previous, monotonic });
  if (regex && !matches(regex, text)) return filled(error, { value: text }) || `This does not match ${regex}.`;
  return "";
}

function matches(regex, text) {
  try {
    return new RegExp(regex).test(text);
  } catch {
    return true; // Terraform's expressions are not all JavaScript's. The server decides.
  }
}

function numberProblem(text, { min, max, error, previous, monotonic }) {
  const number = Number(text);
  if (!Number.isFinite(number)) return "This has to be a number.";
  const low = min !== undefined && number < Number(min);
  const high = max !== undefined && number > Number(max);
  if (low || high) return filled(error, { value: text, min, max }) || range(min, max);
  if (previous === undefined || !monotonic) return "";
  if (monotonic === "increasing" && number < Number(previous)) return `This can only grow: it is ${previous} now.`;
  if (monotonic === "decreasing" && number > Number(previous)) return `This can only shrink: it is ${previous} now.`;
  return "";
}

function range(min, max) {
  if (min !== undefined && max !== undefined) return `Choose a number from ${min} to ${max}.`;
  return min !== undefined ? `Choose ${min} or more.` : `Choose ${max} or less.`;
}

function filled(template, values) {
  return (template ?? "").replace(/\{(value|min|max)\}/g, (whole, name) => values[name] ?? whole);
}
