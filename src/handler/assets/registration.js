/// <reference path="./vestibule.d.ts" />
//
// A registration handler: it describes the new user.
//
// The server calls createUser after the code was verified and before anything is written. It checks the
// result, creates the user with the password of the registration request, and answers the app.
// A handler does not write to the database and does not get the password.
//
//   check it     vestibule handler check registration.js
//   activate it  vestibule handler set NAME --file registration.js
//   inspect it   vestibule handler calls --handler NAME
//
// If the handler throws an error, the app gets it as apex_error: "ExceptionName: message".

/** @type {CreateUser} */
export async function createUser({ profileId, data, customUserDataMap, experienceId }) {
  // customdata is the text of a JSON object, or null.
  const custom = customUserDataMap === null ? {} : JSON.parse(customUserDataMap);

  // An example of a rule. The name of the error is the part before the colon.
  if (custom.country !== undefined && !COUNTRIES.includes(custom.country)) {
    throw new CountryException("we do not deliver to this country yet");
  }

  // The user's account: here the company. It is found by name and created if it is missing.
  const account =
    typeof custom.company === "string" && custom.company.trim() !== ""
      ? { name: custom.company.trim(), create: true }
      : null;

  // Members that are left out keep the value that the app sent. To attach the registration to an existing
  // user, return { id }: the address or number of this registration must be that user's verified one.
  return vestibule.users.create({
    firstName: data.firstName,
    lastName: data.lastName,
    profileId,
    account,
    attributes: {
      ...data.attributeMap,
      ...without(custom, ["company"]),
    },
  });
}

const COUNTRIES = ["AT", "CH", "DE"];

class CountryException extends Error {
  name = "CountryException";
}

function without(object, names) {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)));
}
