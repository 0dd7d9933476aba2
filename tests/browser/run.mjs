// The browser test: a page of another origin goes through every flow in Chromium, against a server that
// is running. It is started by tests/it/process/browser.rs, which names in the environment:
//   VESTIBULE_READY     the ready file of `vestibule dev`
//   VESTIBULE_BINARY    the server's binary, for the command that sets the site's list of origins
//   VESTIBULE_DATA_DIR  its data directory
//   VESTIBULE_CHROMIUM  the browser
// It prints one line per step, and ends with 0 when all of them succeeded.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

import { PATIENCE, codeTo, ready, step } from "../dev-server.mjs";

const FILES = { "/": ["index.html", "text/html"], "/app.js": ["app.js", "text/javascript"] };
const { VESTIBULE_BINARY, VESTIBULE_DATA_DIR, VESTIBULE_CHROMIUM } = process.env;

const { base_url: site, client: { client_id } } = ready.sites.public;

// The server of the page, at another origin.
const server = createServer(async (request, response) => {
  const file = FILES[new URL(request.url, "http://page").pathname];
  if (!file) return response.writeHead(404).end();
  const body = await readFile(new URL(`page/${file[0]}`, import.meta.url));
  response.writeHead(200, { "Content-Type": file[1] }).end(body);
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const origin = `http://127.0.0.1:${server.address().port}`;
assert.notEqual(origin, new URL(site).origin);

const profile = await mkdtemp(join(tmpdir(), "vestibule-browser-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: VESTIBULE_CHROMIUM,
  headless: true,
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});
try {
  await flows(await browser.newPage());
} finally {
  await browser.close();
  server.close();
  await rm(profile, { recursive: true, force: true });
}

async function flows(page) {
  const username = "joerg.edwards@example.com";
  const [first, second] = ["Sup3r-Secret-Pa55", "An0ther-Sécret-Pa55"];
  const loggedIn = { email: username, verified: true, user: username };
  page.setDefaultTimeout(PATIENCE);
  await page.goto(`${origin}/?${new URLSearchParams({ site, client_id })}`);

  await allow([]);
  await step("before its origin is on the list, the page can read nothing", async () => {
    const said = await submit(page, "login", { username, password: first });
    assert.equal(said.error, "Failed to fetch");
  });
  await allow([origin]);
  await step("registration", async () => {
    await sent(page, "register", { username, password: first });
    const said = await submit(page, "code", { otp: await codeTo(username) });
    assert.deepEqual({ ...said, scope: undefined }, { ...loggedIn, scope: undefined });
    assert.match(said.scope, /\brefresh_token\b/);
  });
  await step("a refresh replaces the access token", async () => {
    assert.equal((await click(page, "refresh")).email, username);
  });
  await step("logging out ends them", async () => {
    assert.deepEqual(await click(page, "logout"), { revoked: 200, userinfo: 401 });
  });
  await step("a refusal can be read", async () => {
    const said = await submit(page, "login", { username, password: "wrong" });
    assert.equal(said.body.error, "invalid_grant");
    assert.ok(said.requestId);
  });
  await step("passwordless login", async () => {
    await sent(page, "passwordless", { username });
    const said = await submit(page, "code", { otp: await codeTo(username) });
    assert.equal(said.email, username);
  });
  await step("password login", async () => {
    assert.equal((await submit(page, "login", { username, password: first })).email, username);
  });
  await step("a forgotten password", async () => {
    await sent(page, "forgot", { username });
    const said = await submit(page, "code", { otp: await codeTo(username), newpassword: second });
    assert.deepEqual(said, { status: "password changed" });
    assert.ok((await submit(page, "login", { username, password: first })).error);
    assert.equal((await submit(page, "login", { username, password: second })).email, username);
  });
}

async function sent(page, form, values) {
  assert.deepEqual(await submit(page, form, values), { status: "code sent" }, form);
}

// Fills a form, sends it, and returns what the page then says.
async function submit(page, form, values) {
  for (const [name, value] of Object.entries(values)) {
    await page.fill(`#${form} [name=${name}]`, value);
  }
  return said(page, () => page.click(`#${form} button`));
}

function click(page, button) {
  return said(page, () => page.click(`#${button}`));
}

async function said(page, act) {
  await act();
  const output = page.locator("#said:not(:empty)");
  await output.waitFor({ state: "attached" });
  return JSON.parse(await output.textContent());
}

// Sets the site's list, and waits until the running server has seen it.
async function allow(origins) {
  const settings = [`corsAllowedOrigins=${JSON.stringify(origins)}`, "enableOauthCorsPolicy=true"];
  const set = settings.flatMap((setting) => ["--set", setting]);
  execFileSync(VESTIBULE_BINARY, ["site", "update", "public", "--data-dir", VESTIBULE_DATA_DIR, ...set]);
  for (const end = Date.now() + PATIENCE; Date.now() < end; ) {
    const answer = await fetch(`${site}/services/oauth2/userinfo`, { headers: { Origin: origin } });
    const reader = answer.headers.get("access-control-allow-origin");
    if ((reader === origin) === origins.includes(origin)) return;
    await new Promise((again) => setTimeout(again, 50));
  }
  throw new Error("the server did not see the list");
}
