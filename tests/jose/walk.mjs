// A first-party app that uses another JOSE library: it registers, logs in and gets
// tokens at both authorization challenge endpoints of a server that is running. It is started by
// tests/it/process/jose.rs, which names in the environment:
//   VESTIBULE_READY  the ready file of `vestibule dev`
//   APP_KEY          the private key of the registered certificate, PKCS #8 in PEM
// It prints one line per step, and ends with 0 when all of them succeeded.

import assert from "node:assert/strict";
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import {
  SignJWT, calculateJwkThumbprint, createRemoteJWKSet, exportJWK, generateKeyPair, importPKCS8, jwtVerify,
} from "jose";

import { PATIENCE, codeTo, ready, step } from "../dev-server.mjs";

const appKey = await importPKCS8(await readFile(process.env.APP_KEY, "utf8"), "RS256");
const password = "Sup3r-Secret-Pa55";

await documented(ready.sites.private);
await standard(ready.sites.public);

// OAuth 2.0 for First-Party Applications: a backend with a certificate.
async function documented({ base_url: site, client }) {
  const metadata = await discover(site);
  assert.ok(metadata.token_endpoint_auth_methods_supported.includes("private_key_jwt"));
  const endpoint = `${site}/services/oauth2/v1/authorization_challenge`;
  const username = "backend.user@example.com";
  const verifier = randomBytes(32).toString("base64url");
  const assertion = (audience = site) => new SignJWT({})
    .setProtectedHeader({ alg: "RS256" }).setIssuer(client.client_id).setSubject(client.client_id)
    .setAudience(audience).setIssuedAt().setExpirationTime("4m").setJti(randomUUID()).sign(appKey);
  const who = async () => ({ client_id: client.client_id, client_assertion: await assertion() });
  const begin = async () => ({ ...(await who()), code_challenge: challengeOf(verifier) });
  const tokens = async (code) => {
    const said = await post(metadata.token_endpoint, {
      grant_type: "authorization_code", code, code_verifier: verifier, client_id: client.client_id,
      client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
      client_assertion: await assertion(metadata.token_endpoint),
    });
    assert.equal(said.status, 200, JSON.stringify(said.body));
    return said.body;
  };

  await step("v1: a registration in JSON", async () => {
    const userdata = { firstName: "Back", lastName: "End", email: username, username };
    const begun = await post(endpoint, { ...(await begin()), userdata, password }, true);
    assert.deepEqual([begun.status, begun.body.error_code], [403, "registration_initialized"]);
    const { auth_session } = begun.body;
    const done = await post(endpoint, { ...(await who()), auth_session, otp: await codeTo(username) }, true);
    assert.equal(done.status, 200, JSON.stringify(done.body));
    const { id_token } = await tokens(done.body.authorization_code);
    await verify(metadata, id_token, client.client_id);
  });
  await step("v1: a password, wrong and right", async () => {
    const wrong = await post(endpoint, { ...(await begin()), username, password: "wrong" });
    assert.deepEqual([wrong.status, wrong.body.error, wrong.body.error_code],
      [403, "authorization_required", "invalid_credentials"]);
    const { auth_session } = wrong.body;
    const right = await post(endpoint, { ...(await who()), auth_session, username, password });
    await tokens(right.body.authorization_code);
  });
  await step("v1: a one-time password", async () => {
    const begun = await post(endpoint, { ...(await begin()), username, verificationmethod: "email" });
    assert.deepEqual(begun.body.login_status, { state: "otp_sent", type: "EMAIL" });
    const { auth_session } = begun.body;
    const done = await post(endpoint, { ...(await who()), auth_session, otp: await codeTo(username) });
    await tokens(done.body.authorization_code);
  });
  await step("v1: a request without an assertion is refused", async () => {
    const said = await post(endpoint, { client_id: client.client_id, username, password });
    assert.deepEqual([said.status, said.body.error], [401, "invalid_client"]);
  });
}

// draft-ietf-oauth-first-party-apps with attested instances of a native app.
async function standard({ base_url: site, client }) {
  const metadata = await discover(site);
  const endpoint = metadata.authorization_challenge_endpoint;
  for (const method of ["attest_jwt_client_auth", "attest_jwt_client_auth_dpop"]) {
    assert.ok(metadata.token_endpoint_auth_methods_supported.includes(method));
  }
  const client_id = client.client_id;
  const attest = (jwk) => new SignJWT({ cnf: { jwk } })
    .setProtectedHeader({ alg: "RS256", typ: "oauth-client-attestation+jwt" })
    .setSubject(client_id).setIssuedAt().setExpirationTime("1h").sign(appKey);
  const fresh = async () => (await post(metadata.challenge_endpoint, {})).body.attestation_challenge;

  // Proof of possession by a separate JWT, and by DPoP.
  const byPop = async (alg) => {
    const { privateKey, publicKey } = await generateKeyPair(alg);
    const attestation = await attest(await exportJWK(publicKey));
    return async (_url, challenge) => ({
      "OAuth-Client-Attestation": attestation,
      "OAuth-Client-Attestation-PoP": await new SignJWT({ challenge: challenge ?? await fresh() })
        .setProtectedHeader({ alg, typ: "oauth-client-attestation-pop+jwt" })
        .setAudience(metadata.issuer).setIssuedAt().setJti(randomUUID()).sign(privateKey),
    });
  };
  const byDpop = async (alg) => {
    const { privateKey, publicKey } = await generateKeyPair(alg);
    const jwk = await exportJWK(publicKey);
    assert.equal((await calculateJwkThumbprint(jwk)).length, 43);
    const attestation = await attest(jwk);
    return async (url, challenge) => ({
      "OAuth-Client-Attestation": attestation,
      DPoP: await new SignJWT({ htm: "POST", htu: url, nonce: challenge ?? await fresh() })
        .setProtectedHeader({ alg, typ: "dpop+jwt", jwk }).setIssuedAt().setJti(randomUUID()).sign(privateKey),
    });
  };

  const username = "native.user@example.com";
  const send = async (prove, url, form) => post(url, { client_id, ...form }, false, await prove(url));
  const tokens = async (prove, verifier, code) => {
    const url = metadata.token_endpoint;
    const said = await send(prove, url, { grant_type: "authorization_code", code, code_verifier: verifier });
    assert.equal(said.status, 200, JSON.stringify(said.body));
    const { refresh_token } = said.body;
    const again = await send(prove, url, { grant_type: "refresh_token", refresh_token });
    assert.equal(again.status, 200, JSON.stringify(again.body));
    const stolen = await post(url, { client_id, grant_type: "refresh_token", refresh_token: again.body.refresh_token });
    assert.deepEqual([stolen.status, stolen.body.error], [400, "invalid_grant"]);
    return said.body;
  };

  await step("a registration by an attested instance", async () => {
    const prove = await byPop("ES256");
    const verifier = randomBytes(32).toString("base64url");
    const userdata = JSON.stringify({ lastName: "App", email: username, username });
    const begun = await send(prove, endpoint,
      { response_type: "code", code_challenge: challengeOf(verifier), userdata, password });
    assert.deepEqual([begun.status, begun.body.otp_required], [403, true], JSON.stringify(begun.body));
    const { auth_session } = begun.body;
    const done = await send(prove, endpoint, { auth_session, otp: await codeTo(username) });
    const { id_token } = await tokens(prove, verifier, done.body.authorization_code);
    await verify(metadata, id_token, client_id);
  });
  for (const [name, make] of [["proof of possession", byPop], ["DPoP", byDpop]]) {
    for (const alg of ["ES256", "EdDSA", "RS256"]) {
      await step(`a password, by ${name} with ${alg}`, async () => {
        const prove = await make(alg);
        const verifier = randomBytes(32).toString("base64url");
        const said = await send(prove, endpoint,
          { response_type: "code", code_challenge: challengeOf(verifier), username, password });
        assert.equal(said.status, 200, JSON.stringify(said.body));
        await tokens(prove, verifier, said.body.authorization_code);
      });
    }
  }
  await step("a stale challenge is answered with a fresh one", async () => {
    const prove = await byPop("ES256");
    const form = { client_id, code_challenge: challengeOf("x".repeat(43)), username, password };
    const refused = await post(endpoint, form, false, await prove(endpoint, "stale"));
    assert.deepEqual([refused.status, refused.body.error], [400, "use_attestation_challenge"]);
    const challenge = refused.headers.get("OAuth-Client-Attestation-Challenge");
    assert.equal((await post(endpoint, form, false, await prove(endpoint, challenge))).status, 200);
  });
  await step("a request without an attestation is refused", async () => {
    const said = await post(endpoint, { client_id, username, password });
    assert.deepEqual([said.status, said.body.error], [401, "invalid_client"]);
  });
}

function challengeOf(verifier) {
  return createHash("sha256").update(verifier).digest("base64url");
}

// The metadata of a site that has seen its settings.
async function discover(site) {
  for (const end = Date.now() + PATIENCE; Date.now() < end; ) {
    const metadata = await (await fetch(`${site}/.well-known/openid-configuration`)).json();
    assert.equal(metadata.issuer, site);
    if (metadata.authorization_challenge_endpoint) return metadata;
    await new Promise((again) => setTimeout(again, 50));
  }
  throw new Error("the server did not see the settings");
}

async function verify(metadata, id_token, audience) {
  const keys = createRemoteJWKSet(new URL(metadata.jwks_uri));
  await jwtVerify(id_token, keys, { issuer: metadata.issuer, audience });
}

async function post(url, members, isJson = false, headers = {}) {
  const body = isJson ? JSON.stringify(members) : new URLSearchParams(members);
  const type = isJson ? { "Content-Type": "application/json" } : {};
  const answer = await fetch(url, { method: "POST", headers: { ...type, ...headers }, body });
  assert.equal(answer.headers.get("Cache-Control"), "no-store");
  return { status: answer.status, headers: answer.headers, body: await answer.json() };
}
