// `URL` and `URLSearchParams` after the WHATWG URL standard, as far as handlers need them. Parsing is the server's own.
(function (native) {
  "use strict";
  const define = (name, value) =>
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });

  class URLSearchParams {
    #pairs = [];
    #changed = null;

    constructor(init = "", changed = null) {
      if (init !== null && typeof init === "object") {
        const pairs = typeof init[Symbol.iterator] === "function" ? [...init] : Object.entries(init);
        this.#pairs = pairs.map(([name, value]) => [String(name), String(value)]);
      } else {
        this.#pairs = native.pairs(String(init).replace(/^\?/, ""));
      }
      this.#changed = typeof changed === "function" ? changed : null;
    }
    get size() {
      return this.#pairs.length;
    }
    append(name, value) {
      this.#pairs.push([String(name), String(value)]);
      this.#report();
    }
    delete(name, value) {
      const is = ([other, its]) => other === String(name) && (value === undefined || its === String(value));
      this.#pairs = this.#pairs.filter((pair) => !is(pair));
      this.#report();
    }
    get(name) {
      const pair = this.#pairs.find(([other]) => other === String(name));
      return pair ? pair[1] : null;
    }
    getAll(name) {
      return this.#pairs.filter(([other]) => other === String(name)).map(([, value]) => value);
    }
    has(name, value) {
      return this.#pairs.some(
        ([other, its]) => other === String(name) && (value === undefined || its === String(value)),
      );
    }
    set(name, value) {
      const at = this.#pairs.findIndex(([other]) => other === String(name));
      if (at < 0) return this.append(name, value);
      this.#pairs = this.#pairs.filter(([other], index) => other !== String(name) || index === at);
      this.#pairs[at][1] = String(value);
      this.#report();
    }
    sort() {
      this.#pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
      this.#report();
    }
    forEach(visit, that) {
      for (const [name, value] of this.#pairs) visit.call(that, value, name, this);
    }
    *entries() {
      for (const [name, value] of this.#pairs) yield [name, value];
    }
    *keys() {
      for (const [name] of this.#pairs) yield name;
    }
    *values() {
      for (const [, value] of this.#pairs) yield value;
    }
    [Symbol.iterator]() {
      return this.entries();
    }
    toString() {
      return native.query(this.#pairs);
    }
    #report() {
      if (this.#changed) this.#changed(this.toString());
    }
  }

  const PARTS = ["protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash"];

  class URL {
    #parts;
    #search = null;

    constructor(address, base) {
      this.#parts = native.address(String(address), base === undefined ? "" : String(base));
      if (this.#parts === undefined) throw new TypeError("Invalid URL");
    }
    static canParse(address, base) {
      return native.address(String(address), base === undefined ? "" : String(base)) !== undefined;
    }
    static parse(address, base) {
      return URL.canParse(address, base) ? new URL(address, base) : null;
    }
    get href() {
      return this.#parts.href;
    }
    set href(address) {
      const parts = native.address(String(address), "");
      if (parts === undefined) throw new TypeError("Invalid URL");
      this.#parts = parts;
      this.#search = null;
    }
    get origin() {
      return this.#parts.origin;
    }
    get searchParams() {
      const changed = (query) => {
        this.#parts = native.change(this.#parts.href, "search", query);
      };
      return (this.#search ??= new URLSearchParams(this.#parts.search, changed));
    }
    toString() {
      return this.#parts.href;
    }
    toJSON() {
      return this.#parts.href;
    }
    static {
      for (const part of PARTS) {
        Object.defineProperty(URL.prototype, part, {
          configurable: true,
          enumerable: true,
          get() {
            return this.#parts[part];
          },
          set(value) {
            this.#parts = native.change(this.#parts.href, part, String(value));
            if (part === "search") this.#search = null;
          },
        });
      }
    }
  }

  define("URL", URL);
  define("URLSearchParams", URLSearchParams);
});
