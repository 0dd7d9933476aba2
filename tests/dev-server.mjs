// What the scripts of tests/browser and tests/jose need of a running `vestibule dev`: its ready object, the
// codes of its inbox, and the report of a step.

import { readFile } from "node:fs/promises";

// How long a script waits for one thing, in milliseconds.
export const PATIENCE = 20_000;

// The object that `vestibule dev` writes when it is ready.
export const ready = JSON.parse(await readFile(process.env.VESTIBULE_READY, "utf8"));

// The code of the newest message to an address. The inbox is emptied.
export async function codeTo(address) {
  const inbox = `${ready.management_url}/_emulator/v1/inbox`;
  const headers = { Authorization: `Bearer ${ready.admin_token}` };
  const query = new URLSearchParams({ to: address, wait_ms: String(PATIENCE) });
  const { messages } = await (await fetch(`${inbox}?${query}`, { headers })).json();
  await fetch(inbox, { method: "DELETE", headers });
  return messages.at(-1).code;
}

// Runs a step, and prints a line when it went well. The test counts these lines.
export async function step(what, body) {
  await body();
  console.log(`ok: ${what}`);
}
