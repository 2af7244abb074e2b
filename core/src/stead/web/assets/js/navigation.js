// The thin line at the top while a page is under way, one press of a button per answer, and focus after a swap.
const root = document.documentElement;

document.addEventListener("htmx:before:request", (event) => {
  const { ctx } = event.detail;
  if (ctx.target !== document.body) return;
  root.classList.add("is-navigating");
  ctx.request.submitter?.classList.add("is-busy");
});
document.addEventListener("htmx:finally:request", (event) => {
  root.classList.remove("is-navigating");
  event.detail.ctx.request?.submitter?.classList.remove("is-busy");
});
document.addEventListener("htmx:after:swap", (event) => {
  if (event.detail.ctx.target !== document.body) return;
  const wrong = document.querySelector(".field.is-wrong :is(input, select, textarea), [autofocus]");
  if (wrong) wrong.focus();
  else document.getElementById("main")?.focus({ preventScroll: true });
});
// Without htmx (a plain submit), too, a second press must not send the form twice.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented) return;
  event.submitter?.classList.add("is-busy");
});
window.addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll(".btn.is-busy")) button.classList.remove("is-busy");
});
