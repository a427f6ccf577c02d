// A form that is being sent is not sent twice; one that cannot be sent stays as it is, and says so.
const BUSY_FOR_MS = 10000;
const offline = document.getElementById("offline");
const rest = (form) => form.removeAttribute("aria-busy");

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.getAttribute("method") !== "post") return;
  if (!navigator.onLine) {
    event.preventDefault();
    offline.hidden = false;
    offline.focus();
  } else if (form.hasAttribute("aria-busy")) {
    event.preventDefault();
  } else {
    form.setAttribute("aria-busy", "true");
    // What answers with a file leaves the page where it is.
    setTimeout(rest, BUSY_FOR_MS, form);
  }
});
addEventListener("online", () => { offline.hidden = true; });
addEventListener("pageshow", () => document.querySelectorAll("form[aria-busy]").forEach(rest));
