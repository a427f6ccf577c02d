// What somebody leaves on a screen nobody else reads. Who hands the device over leaves no page of
// theirs in another tab; who signs out, none in which nothing is typed. A page that nobody touched
// for as long as a session idles, in any tab, is covered until its person is back, and so is what
// is typed in after a sign-out: it can still be sent, and waits for them then.
const device = new BroadcastChannel("rapport");
const cover = document.getElementById("cover");
const TOUCHED = "rapport.touched";
const written = (form) => new URLSearchParams(new FormData(form)).toString();
const asServed = new Map([...document.forms].map((form) => [form, written(form)]));
const holdsWords = () => Boolean(document.querySelector("[data-answers-post]"))
  || [...document.forms].some((form) => written(form) !== asServed.get(form));
const isLeft = () => {
  const [whose, at] = (localStorage[TOUCHED] || "").split(" ");
  return whose !== cover.dataset.whose || Date.now() - at > 1000 * cover.dataset.idleS;
};
const note = () => { localStorage[TOUCHED] = `${cover.dataset.whose} ${Date.now()}`; };
const look = () => {
  if (isLeft() !== cover.hidden) return;
  const covering = cover.hidden;
  for (const part of document.body.children) part.hidden = covering !== (part === cover);
  if (covering) cover.focus();
};
const touch = () => {
  if (isLeft()) look();
  else note();
};

if (cover) {
  note();
  for (const kind of ["keydown", "pointerdown", "scroll"]) addEventListener(kind, touch, true);
  for (const kind of ["storage", "focus", "pageshow"]) addEventListener(kind, look);
  document.addEventListener("visibilitychange", look);
  setInterval(look, 10000);
  cover.querySelector("[target]").addEventListener("click", (event) => {
    if (holdsWords()) return;
    event.preventDefault();
    location.reload();
  });
}

device.onmessage = ({ data }) => {
  if (data === "device" || !holdsWords()) location.replace("about:blank");
};
document.addEventListener("submit", ({ target, defaultPrevented }) => {
  if (defaultPrevented || !("leaves" in target.dataset)) return;
  localStorage.removeItem(TOUCHED);
  device.postMessage(target.dataset.leaves);
});
