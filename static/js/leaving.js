// Who hands this device over leaves no page of theirs in another tab. Who signs out leaves those
// alone in which something is typed: it can still be sent, and waits for them then.
const device = new BroadcastChannel("rapport");
const isTyped = (field) => field.value !== field.defaultValue;
device.onmessage = ({ data }) => {
  const keeps = !data && [...document.querySelectorAll("textarea, input")].some(isTyped);
  if (!keeps) location.replace("about:blank");
};
document.addEventListener("submit", ({ target, defaultPrevented }) => {
  if (!defaultPrevented && "leaves" in target.dataset) device.postMessage(target.dataset.leaves);
});
