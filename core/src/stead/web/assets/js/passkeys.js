// Asks the browser's authenticator, and sends its answer with the form that it stands in.
const REFUSED = "No passkey was used. Try again, or choose another way.";

function bytes(text) {
  const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(plain, (sign) => sign.charCodeAt(0));
}

function text(buffer) {
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

function descriptors(list = []) {
  return list.map((one) => ({ ...one, id: bytes(one.id) }));
}

async function create(options) {
  const made = await navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: bytes(options.challenge),
      user: { ...options.user, id: bytes(options.user.id) },
      excludeCredentials: descriptors(options.excludeCredentials),
    },
  });
  const { attestationObject, clientDataJSON } = made.response;
  return envelope(made, {
    attestationObject: text(attestationObject),
    clientDataJSON: text(clientDataJSON),
    transports: made.response.getTransports?.() ?? [],
  });
}

async function get(options) {
  const shown = await navigator.credentials.get({
    publicKey: {
      ...options,
      challenge: bytes(options.challenge),
      allowCredentials: descriptors(options.allowCredentials),
    },
  });
  const { authenticatorData, clientDataJSON, signature, userHandle } = shown.response;
  return envelope(shown, {
    authenticatorData: text(authenticatorData),
    clientDataJSON: text(clientDataJSON),
    signature: text(signature),
    userHandle: userHandle ? text(userHandle) : null,
  });
}

function envelope(credential, response) {
  const { id, rawId, type, authenticatorAttachment } = credential;
  const extensions = credential.getClientExtensionResults();
  return JSON.stringify({ id, rawId: text(rawId), type, authenticatorAttachment, response, clientExtensionResults: extensions });
}

async function options(form) {
  if (form.dataset.options) return JSON.parse(form.dataset.options);
  const headers = { "X-CSRF-Token": form.querySelector("[name=csrf_token]").value };
  const answer = await fetch(form.dataset.optionsFrom, { method: "POST", headers });
  if (!answer.ok) throw new Error("the server did not answer");
  return JSON.parse((await answer.json()).options);
}

async function ask(form) {
  const problem = form.querySelector("[data-passkey-problem]");
  problem.hidden = true;
  try {
    const wanted = await options(form);
    form.querySelector("[name=answer]").value = await (form.dataset.passkey === "create" ? create(wanted) : get(wanted));
    form.submit();
  } catch {
    problem.textContent = REFUSED;
    problem.hidden = false;
  }
}

export function start(root) {
  for (const form of root.querySelectorAll("form[data-passkey]")) {
    if (form.dataset.started) continue;
    form.dataset.started = "yes";
    form.addEventListener(
      "submit",
      (event) => {
        event.preventDefault();
        event.stopImmediatePropagation();
        ask(form);
      },
      true,
    );
  }
}
