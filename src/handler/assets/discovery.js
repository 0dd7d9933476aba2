/// <reference path="./vestibule.d.ts" />
//
// A discovery handler: it finds the user for an identifier.
//
// The server calls discoverUser with the text that a person typed. The flow continues if exactly one
// user is returned who may log in at the site and whose email address (or phone number) is verified. The
// server checks this itself, whatever is returned. Lookups have the rights of the site's "Run As" user.
//
//   check it     vestibule handler check discovery.js
//   activate it  vestibule handler set NAME --file discovery.js
//   inspect it   vestibule handler calls --handler NAME
//
// customErrorMessage is sent to the app only if the site's setting isHeadlessDiscoveryMessageShown is
// on, because it discloses which accounts exist.

/** @type {DiscoverUser} */
export async function discoverUser({ loginHint, verificationAction, customDataJson, requestAttributes }) {
  const hint = loginHint.trim();

  // First try an email address, then an identifier of your business, then a phone number.
  if (hint.includes("@")) {
    return one(await vestibule.users.find({ email: hint }), verificationAction);
  }
  const orders = await vestibule.identifiers.find({ kind: "order", value: hint });
  if (orders.length > 0) {
    return one(orders.map((order) => order.user), verificationAction);
  }
  const digits = hint.replace(/[\s().-]/g, "");
  if (/^\+?[0-9]{6,15}$/.test(digits)) {
    const phone = digits.startsWith("+") ? digits : COUNTRY_CODE + digits;
    return one(await vestibule.users.find({ phone }), verificationAction);
  }
  return { userIds: [], customErrorMessage: "Please enter your email address, phone number or order number." };
}

// The country code of phone numbers that are typed without one.
const COUNTRY_CODE = "+1";

function one(users, verificationAction) {
  const isVerified = verificationAction === "SMS" ? (user) => user.phoneVerified : (user) => user.emailVerified;
  const usable = users.filter((user) => user.active && isVerified(user));
  if (usable.length !== 1) {
    vestibule.log(users.length, "found,", usable.length, "of them active and verified");
    return { userIds: [], customErrorMessage: "We could not find you. Please check what you entered." };
  }
  return { userIds: [usable[0].id] };
}
