// Keeps relative times true while a page stays open. The wording is that of the server (pages/formats.py).
const STEPS = [
  [45, 1, "second"], [45 * 60, 60, "minute"], [22 * 3600, 3600, "hour"], [26 * 86400, 86400, "day"],
  [320 * 86400, 2629800, "month"], [Infinity, 31557600, "year"],
];

export function distance(seconds) {
  const [, size, unit] = STEPS.find(([limit]) => seconds < limit);
  const count = Math.max(1, Math.round(seconds / size));
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

export function relative(then, now = Date.now()) {
  const seconds = (now - then) / 1000;
  if (Math.abs(seconds) < 10) return "just now";
  return seconds > 0 ? `${distance(seconds)} ago` : `in ${distance(-seconds)}`;
}

export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

function refresh() {
  for (const element of document.querySelectorAll("time[data-relative]")) {
    const text = relative(Date.parse(element.dateTime));
    if (element.textContent !== text) element.textContent = text;
  }
}

function tick() {
  for (const element of document.querySelectorAll("time[data-running]")) {
    element.textContent = span((Date.now() - Date.parse(element.dateTime)) / 1000);
  }
}

tick();
setInterval(refresh, 15_000);
setInterval(tick, 1000);
document.addEventListener("htmx:after:swap", () => {
  refresh();
  tick();
});
