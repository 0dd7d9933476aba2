/// <reference path="./vestibule.d.ts" />
//
// A delivery handler: send this one-time password by text message.
//
// The server calls sendOneTimePassword in the background, after the app has its answer. The word that is
// returned decides what becomes of the message: SUCCESS, COUNTRY_BLOCK, EXCEPTION,
// INVALID_PHONE_NUMBER, MESSAGE_LIMIT_EXCEEDED or PROVIDER_ERROR.
//
//   check it     vestibule handler check delivery.js
//   put it in    vestibule handler set NAME --file delivery.js --allow-host sms.example.com
//   watch it     vestibule handler calls --handler NAME
//
// Only hosts that --allow-host names can be called, and none that leads to a private address. The code
// is in no record of a call: "[removed]" stands there.

/** @type {SendOneTimePassword} */
export async function sendOneTimePassword({ phoneNumber, defaultText }) {
  const answer = await vestibule.fetch("https://sms.example.com/messages", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ to: phoneNumber, text: defaultText }),
  });
  if (answer.status === 429) {
    return "MESSAGE_LIMIT_EXCEEDED";
  }
  if (answer.status === 422) {
    return "INVALID_PHONE_NUMBER";
  }
  return answer.ok ? "SUCCESS" : "PROVIDER_ERROR";
}
