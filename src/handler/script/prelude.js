// The environment of a script: the object `vestibule`, the console, the server's clock, repeatable randomness, and no
// way to run text as code. `native` holds the functions of the server; the script never sees it.
(function (native) {
  "use strict";
  const { defineProperty, freeze, getPrototypeOf } = Object;
  const { isArray } = Array;
  const { parse, stringify } = JSON;
  const define = (object, name, value) =>
    defineProperty(object, name, { value, writable: true, configurable: true, enumerable: false });

  // Text is not run as code, by none of the names that it could be done by.
  const NoCode = function Function() {
    throw new TypeError("code is not made from text here");
  };
  NoCode.prototype = Function.prototype;
  for (const kind of [function () {}, async function () {}, function* () {}, async function* () {}]) {
    define(getPrototypeOf(kind), "constructor", NoCode);
  }
  define(globalThis, "Function", NoCode);
  for (const name of ["eval", "Atomics", "SharedArrayBuffer"]) delete globalThis[name];

  // One step of the engine is not interrupted, so no step may be a long one: what works on a whole array or text looks at
  // its size first, and before a large one at the meter.
  const LENGTH_MAX = 1_000_000;
  const LARGE = 10_000;
  const COMPARISONS_MAX = 100_000_000;
  const { apply } = Reflect;
  const guard = (prototype, names, ready) => {
    for (const name of names.split(" ")) {
      const own = prototype[name];
      const guarded = { [name](...rest) { return apply(own, ready(this, rest), rest); } };
      define(prototype, name, guarded[name]);
    }
  };
  const checked = (array) => {
    if (array.length > LENGTH_MAX) throw new RangeError("an array of more than a million elements");
    if (array.length > LARGE) native.tick();
    return array;
  };
  const ARRAY = "copyWithin fill flat flatMap join reverse shift slice sort splice toReversed toSorted toSpliced unshift with";
  guard(Array.prototype, ARRAY, (list) => checked(isArray(list) ? list : Array.from(list)));
  guard(Array.prototype, "concat", (list, rest) => {
    for (const other of [list, ...rest]) {
      if (isArray(other)) checked(other);
      else if (other?.[Symbol.isConcatSpreadable]) throw new TypeError("concat joins arrays only");
    }
    return list;
  });
  const TEXT =
    "includes indexOf lastIndexOf normalize padEnd padStart repeat replace replaceAll split toLowerCase toUpperCase trim";
  guard(String.prototype, TEXT, (value, [other]) => {
    if (value === undefined || value === null) return value;
    const text = String(value);
    if (text.length > LARGE) native.tick();
    if (typeof other === "string" && text.length * other.length > COMPARISONS_MAX) {
      throw new RangeError("two texts that are too long to be searched");
    }
    return text;
  });
  define(JSON, "stringify", (value, replacer, space) =>
    stringify(value, isArray(replacer) ? checked(replacer) : replacer, space));

  // The server's clock, in UTC; a script does not learn the place where the server runs.
  const Native = Date;
  const LOCAL = /^[+-]?\d{4,6}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?$/;
  const read = (text) => Native.parse(typeof text === "string" && LOCAL.test(text) ? text + "Z" : text);
  const Clock = function Date(...parts) {
    if (new.target === undefined) return new Native(native.now()).toUTCString();
    if (parts.length === 0) return Reflect.construct(Native, [native.now()], new.target);
    if (parts.length > 1) return Reflect.construct(Native, [Native.UTC(...parts)], new.target);
    const [only] = parts;
    return Reflect.construct(Native, [typeof only === "string" ? read(only) : only], new.target);
  };
  Clock.prototype = Native.prototype;
  define(Clock.prototype, "constructor", Clock);
  define(Clock, "now", () => native.now());
  define(Clock, "parse", read);
  define(Clock, "UTC", Native.UTC);
  for (const part of ["FullYear", "Month", "Date", "Day", "Hours", "Minutes", "Seconds", "Milliseconds"]) {
    for (const verb of ["get", "set"]) {
      const universal = Clock.prototype[verb + "UTC" + part];
      if (universal) define(Clock.prototype, verb + part, universal);
    }
  }
  define(Clock.prototype, "getTimezoneOffset", () => 0);
  for (const name of ["toString", "toLocaleString"]) {
    define(Clock.prototype, name, Clock.prototype.toUTCString);
  }
  define(globalThis, "Date", Clock);

  // Randomness depends on the call's seed alone, so that a replay draws the same.
  define(Math, "random", () => native.random());
  const crypto = {
    randomUUID: () => native.uuid(),
    getRandomValues(array) {
      if (!ArrayBuffer.isView(array) || array.byteLength > 65536) {
        throw new TypeError("getRandomValues wants a typed array of at most 65536 bytes");
      }
      const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
      bytes.set(native.bytes(bytes.length));
      return array;
    },
  };
  define(globalThis, "crypto", freeze(crypto));

  // What a line of the log says of a value.
  const logged = (value) => {
    if (typeof value === "string") return value;
    if (value instanceof Error) return String(value);
    try {
      return stringify(value) ?? String(value);
    } catch {
      return Object.prototype.toString.call(value);
    }
  };
  const logs = (level) => (...values) => native.log(level, values.map(logged).join(" "));
  const log = logs("log");
  define(
    globalThis,
    "console",
    freeze({ debug: log, error: logs("error"), info: logs("info"), log, warn: logs("warn") }),
  );

  const record = (value, what) => {
    if (value === null || typeof value !== "object" || isArray(value)) {
      throw new TypeError(what + " wants an object");
    }
    return { ...value };
  };
  const ask = (name) => (query) => native.ask(name, record(query, name));
  const fetch = async (url, options = {}) => {
    const { method, headers, body } = record(options, "fetch");
    const asked = { url: String(url), method: method === undefined ? "GET" : String(method) };
    if (headers !== undefined) asked.headers = record(headers, "fetch: headers");
    if (body !== undefined && body !== null) asked.body = typeof body === "string" ? body : stringify(body);
    const answer = await native.ask("fetch", asked);
    const { status, headers: received = {}, body: text = "" } = answer;
    return freeze({
      status,
      ok: status >= 200 && status < 300,
      headers: freeze(received),
      text: async () => text,
      json: async () => parse(text),
    });
  };
  const vestibule = freeze({
    accounts: freeze({
      create: (draft) => ({ ...record(draft, "accounts.create"), create: true }),
      find: ask("accounts.find"),
    }),
    fetch,
    identifiers: freeze({ find: ask("identifiers.find") }),
    log,
    users: freeze({
      create: (draft) => record(draft, "users.create"),
      find: ask("users.find"),
    }),
  });
  defineProperty(globalThis, "vestibule", { value: vestibule, enumerable: true });

  // Rarely used and large, so they are made at their first use.
  for (const name of ["URL", "URLSearchParams"]) {
    defineProperty(globalThis, name, {
      configurable: true,
      get() {
        native.addresses();
        return globalThis[name];
      },
      set(value) {
        define(globalThis, name, value);
      },
    });
  }

  return freeze({
    invoke: async (handler, argument) => handler(argument),
    // JSON has no word for these, and none is made up in their place.
    strict(key, value) {
      const refuse = (what) => {
        throw new TypeError(`${key === "" ? "the result" : "the member `" + key + "`"} is ${what}, and JSON has no word for it`);
      };
      switch (typeof value) {
        case "number":
          return value - value === 0 ? value : refuse(value !== value ? "not a number" : "infinite");
        case "bigint":
          return refuse("a BigInt");
        case "function":
          return refuse("a function");
        case "symbol":
          return refuse("a symbol");
        case "undefined":
          return isArray(this) ? refuse("an undefined element") : value;
        default:
          return value;
      }
    },
  });
});
