// Keys for what a page offers: data-shortcut names them ("g c": first g, then c). They rest while
// something is typed or chosen, and where they were turned off on the help page.
const OFF = "rapport.shortcuts-off";
const SECOND_KEY_WITHIN_MS = 1500;
let first = "";

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, select, textarea, [contenteditable], dialog");
  const isOther = event.ctrlKey || event.metaKey || event.altKey || event.repeat;
  if (isTyping || isOther || event.isComposing || localStorage.getItem(OFF)) return;
  const keys = first ? `${first} ${event.key}` : event.key;
  first = keys === "g" ? "g" : "";
  if (first) setTimeout(() => { first = ""; }, SECOND_KEY_WITHIN_MS);
  const found = document.querySelector(`[data-shortcut="${CSS.escape(keys)}"]`);
  if (!found) return;
  event.preventDefault();
  if (found.matches("input")) found.focus();
  else found.click();
});

for (const wrapper of document.querySelectorAll("[data-shortcut-switch]")) {
  const box = wrapper.querySelector("input");
  box.checked = !localStorage.getItem(OFF);
  box.addEventListener("change", () => {
    if (box.checked) localStorage.removeItem(OFF);
    else localStorage.setItem(OFF, "yes");
  });
  wrapper.hidden = false;
}
