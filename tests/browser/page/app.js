// A shop whose pages are served from elsewhere: it registers people and logs them in with nothing but
// fetch, PKCE and the site's echo endpoint. The address of the page names the site and the client.

const place = new URLSearchParams(location.search);
const site = place.get("site");
const client_id = place.get("client_id");
const redirect_uri = `${site}/services/oauth2/echo`;

// What waits for a one-time password, and the tokens of who is logged in.
let waiting = null;
let tokens = null;

on("register", async ({ username, password }) => {
  const { identifier } = await init("init/registration", {
    userdata: { firstName: "Jörg", lastName: "Edwards", email: username, username },
    password,
    verificationmethod: "email",
  });
  waiting = { type: "user-registration", identifier };
  return { status: "code sent" };
});

on("passwordless", async ({ username }) => {
  const { identifier } = await init("init/passwordless/login", { username, verificationmethod: "email" });
  waiting = { type: "passwordless-login", identifier };
  return { status: "code sent" };
});

on("forgot", async ({ username }) => {
  await init("forgot_password", { username });
  waiting = { username };
  return { status: "code sent" };
});

on("login", ({ username, password }) => authorize({ "Auth-Request-Type": "Named-User" }, username, password));

on("code", async ({ otp, newpassword }) => {
  if (waiting.username) {
    await init("forgot_password", { username: waiting.username, otp, newpassword });
    return { status: "password changed" };
  }
  const headers = { "Auth-Request-Type": waiting.type, "Auth-Verification-Type": "email" };
  return authorize(headers, waiting.identifier, otp);
});

document.getElementById("refresh").onclick = () => say(async () => {
  const grant = { grant_type: "refresh_token", refresh_token: tokens.refresh_token, client_id };
  // The answer has a refresh token only where the app's policy rotates it.
  tokens = { ...tokens, ...(await post("services/oauth2/token", new URLSearchParams(grant))) };
  return whoAmI();
});

document.getElementById("logout").onclick = () => say(async () => {
  const answer = await fetch(`${site}/services/oauth2/revoke`, {
    method: "POST",
    body: new URLSearchParams({ token: tokens.refresh_token, revoke_reason: "user_logout" }),
  });
  const { status } = await fetch(`${site}/services/oauth2/userinfo`, bearer());
  return { revoked: answer.status, userinfo: status };
});

// The first call of a flow.
async function init(path, body) {
  const recaptcha = `test-pass-${crypto.randomUUID()}`;
  return post(`services/auth/headless/${path}`, JSON.stringify({ recaptcha, ...body }));
}

// The tail of every login: the redirect to echo is followed by fetch itself.
async function authorize(headers, left, right) {
  const code_verifier = base64url(crypto.getRandomValues(new Uint8Array(128)));
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(code_verifier));
  const basic = btoa(String.fromCharCode(...new TextEncoder().encode(`${left}:${right}`)));
  const { code, sfdc_community_url } = await post(
    "services/oauth2/authorize",
    new URLSearchParams({
      response_type: "code_credentials", client_id, redirect_uri,
      code_challenge: base64url(new Uint8Array(hash)),
    }),
    { ...headers, Authorization: `Basic ${basic}` },
  );
  if (sfdc_community_url !== site) throw new Error(`another site: ${sfdc_community_url}`);
  const grant = { grant_type: "authorization_code", code, client_id, redirect_uri, code_verifier };
  tokens = await post("services/oauth2/token", new URLSearchParams(grant));
  return whoAmI();
}

async function whoAmI() {
  const read = async (url) => (await fetch(url, bearer())).json();
  const info = await read(`${site}/services/oauth2/userinfo`);
  const identity = await read(tokens.id);
  return { email: info.email, verified: info.email_verified, user: identity.username, scope: tokens.scope };
}

function bearer() {
  return { headers: { Authorization: `Bearer ${tokens.access_token}` } };
}

async function post(path, body, headers = {}) {
  const answer = await fetch(`${site}/${path}`, { method: "POST", body, headers });
  const said = await answer.json();
  if (!answer.ok) {
    const requestId = answer.headers.get("x-request-id");
    throw Object.assign(new Error(said.error_description ?? answer.status), { said, requestId });
  }
  return said;
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

// Runs one step and shows what came of it.
async function say(step) {
  const said = document.getElementById("said");
  said.textContent = "";
  try {
    said.textContent = JSON.stringify(await step());
  } catch (error) {
    const { message, said: body, requestId } = error;
    said.textContent = JSON.stringify({ error: message, body, requestId });
  }
}

function on(id, step) {
  const form = document.getElementById(id);
  form.onsubmit = (event) => {
    event.preventDefault();
    say(() => step(Object.fromEntries(new FormData(form))));
  };
}
