// Passing messages, at the corner of the page and for screen readers.
export function toast(text, tone = "good") {
  const holder = document.getElementById("toasts");
  const line = document.createElement("div");
  line.className = `toast-line tone-${tone}`;
  const words = document.createElement("p");
  words.textContent = text;
  line.append(words);
  holder.append(line);
  setTimeout(() => line.remove(), 6000);
}
