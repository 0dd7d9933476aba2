/// <reference path="./vestibule.d.ts" />
//
// A registration handler: what is the new user to be?
//
// The server calls createUser after the code was proven and before anything is written. It checks what
// comes back, makes the user with the password that was chosen at the start, and answers the app.
// Nothing here writes to the database, and there is no password here.
//
//   check it     vestibule handler check registration.js
//   put it in    vestibule handler set NAME --file registration.js
//   watch it     vestibule handler calls --handler NAME
//
// What is thrown is what the app reads as apex_error: "ExceptionName: message".

/** @type {CreateUser} */
export async function createUser({ profileId, data, customUserDataMap, experienceId }) {
  // customdata comes as the text of a JSON object, or not at all.
  const custom = customUserDataMap === null ? {} : JSON.parse(customUserDataMap);

  // A rule of your own. The name of the error stands before the message.
  if (custom.country !== undefined && !COUNTRIES.includes(custom.country)) {
    throw new CountryException("we do not deliver to this country yet");
  }

  // An account of your own choice: here the company, which is found by name and made if it is missing.
  const account =
    typeof custom.company === "string" && custom.company.trim() !== ""
      ? { name: custom.company.trim(), create: true }
      : null;

  // What is left out stays as the app has sent it. To attach the registration to a user whom you have
  // already, return { id }: the address or number that was just proven must be their verified one.
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
