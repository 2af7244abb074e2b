// Dialogs are <dialog>. Whatever opens one is a link to a page that asks the same, for browsers without scripts.
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  if (opener) {
    const dialog = document.getElementById(opener.dataset.dialog);
    if (!dialog) return;
    event.preventDefault();
    event.stopPropagation();
    dialog.showModal();
    return;
  }
  const asked = event.target.closest("[data-close]")?.closest("dialog");
  if (asked) {
    event.preventDefault();
    event.stopPropagation();
    asked.close();
  }
  if (event.target.matches?.("dialog") && !inside(event)) event.target.close();
}, true);

function inside(event) {
  const box = event.target.getBoundingClientRect();
  return event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
}

// A button that waits until the name of the thing was typed.
document.addEventListener("input", (event) => {
  const wanted = event.target.dataset?.mustEqual;
  if (wanted === undefined) return;
  event.target.form.querySelector("[type=submit]").disabled = event.target.value.trim() !== wanted;
});
