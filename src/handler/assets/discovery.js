/// <reference path="./vestibule.d.ts" />
//
// A discovery handler: whom does this identifier mean?
//
// The server calls discoverUser with what a person typed, and goes on if exactly one user comes back
// who may log in at the site and whose address (or phone number) has proved itself. It checks that
// again, whatever is returned here. People are searched with the rights of the site's "Run As" user.
//
//   check it     vestibule handler check discovery.js
//   put it in    vestibule handler set NAME --file discovery.js
//   watch it     vestibule handler calls --handler NAME
//
// customErrorMessage is shown to the app only if the site's setting isHeadlessDiscoveryMessageShown says
// so: it tells a stranger which accounts exist.

/** @type {DiscoverUser} */
export async function discoverUser({ loginHint, verificationAction, customDataJson, requestAttributes }) {
  const hint = loginHint.trim();

  // First what looks like an address, then an identifier of your business, then a phone number.
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

// The country of phone numbers that are typed without one.
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
