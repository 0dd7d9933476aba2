/// <reference path="./vestibule.d.ts" />
//
// A delivery handler: it sends a one-time password by text message.
//
// The server calls sendOneTimePassword in the background, after the app has its response. The returned
// word decides whether the message is sent, abandoned or sent again later: SUCCESS, COUNTRY_BLOCK,
// EXCEPTION, INVALID_PHONE_NUMBER, MESSAGE_LIMIT_EXCEEDED or PROVIDER_ERROR.
//
//   check it     vestibule handler check delivery.js
//   activate it  vestibule handler set NAME --file delivery.js --allow-host sms.example.com
//   inspect it   vestibule handler calls --handler NAME
//
// A script can call only the hosts that --allow-host names, and no private addresses. The record of a
// call does not contain the code: it is replaced by "[removed]".

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
