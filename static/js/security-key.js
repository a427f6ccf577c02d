// Hands a page's options to the security key and its answer to the form. Needs webauthn-json.js.
(() => {
  "use strict";
  const options = document.getElementById("security-key-options");
  const form = document.querySelector("form[data-security-key]");
  const problem = document.getElementById("security-key-problem");
  if (!options || !form) return;

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    problem.hidden = true;
    try {
      const { creation_options: made, request_options: asked } = JSON.parse(options.textContent);
      const credential = made
        ? await window.webauthnJSON.create(made)
        : await window.webauthnJSON.get(asked);
      form.elements.credential.value = JSON.stringify(credential);
      form.submit();
    } catch {
      problem.hidden = false;
    }
  });
  form.querySelector("button[type=submit]").disabled = false;
})();
