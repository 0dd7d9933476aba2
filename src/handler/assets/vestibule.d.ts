// Vestibule: types for handlers.
//
// Put this file beside your handler and begin the handler with
//   /// <reference path="./vestibule.d.ts" />
// and an editor completes and checks what you write. `vestibule handler types` prints it.

/** What a site's registration handler is asked: what is the new user to be? */
type CreateUser = (args: CreateUserArguments) => CreateUserResult | Promise<CreateUserResult>;
/** What a site's discovery handler is asked: whom does this identifier mean? */
type DiscoverUser = (args: DiscoverUserArguments) => DiscoverUserResult | Promise<DiscoverUserResult>;
/** What a site's delivery handler is asked: send this text message. */
type SendOneTimePassword = (args: SendOneTimePasswordArguments) => SendOneTimePasswordResult | Promise<SendOneTimePasswordResult>;

interface CreateUserArguments {
  /** Record id of the profile that the new user gets. */
  profileId: string;
  /** Who registers, as the app described them. */
  data: UserData;
  /** `customdata` of the init call: the text of a JSON object. */
  customUserDataMap: string | null;
  /** Record id of the site. */
  experienceId: string;
  /** Always null: a handler never gets a password. */
  password: null;
}

interface UserData {
  /** Always null here. */
  identifier: string | null;
  firstName: string | null;
  lastName: string;
  fullName: string;
  email: string;
  /** Always null here. */
  link: string | null;
  username: string;
  locale: string | null;
  /** Always null here. */
  provider: string | null;
  /** The site's base URL. */
  siteLoginUrl: string;
  /** Members of `userdata` that have no meaning of their own, as text; also `phone`. */
  attributeMap: { [name: string]: string };
}

/** An existing user by `id` alone, or what a new one is to be. What is absent is as the request has it. */
interface CreateUserResult {
  /** An existing user, to whom the registration is attached. Their verified address or phone must be the one that was proven. */
  id?: string | null;
  /** The request's username, or absent. */
  username?: string | null;
  /** The request's address, or absent. */
  email?: string | null;
  firstName?: string | null;
  lastName?: string | null;
  /** With country code: +12035550100. */
  phone?: string | null;
  /** de_DE */
  locale?: string | null;
  /** Europe/Berlin */
  timezone?: string | null;
  /** The profile that the handler was given, or absent. */
  profileId?: string | null;
  /** Record id of an existing account. */
  accountId?: string | null;
  /** The account by its name; a missing one is made if `create` says so. */
  account?: AccountDraft | null;
  attributes?: { [name: string]: unknown };
}

interface AccountDraft {
  name: string;
  create?: boolean;
}

interface DiscoverUserArguments {
  /** Record id of the site. */
  networkId: string;
  /** `login_hint`, as the app sent it. */
  loginHint: string;
  /** The channel that must be verified. */
  verificationAction: "EMAIL" | "SMS";
  /** `customdata`: the text of a JSON object. */
  customDataJson: string | null;
  /** CommunityUrl, IpAddress, UserAgent, Platform, Application, City, Country, Subdivision; what is not known is absent. */
  requestAttributes: { [name: string]: string };
}

/** One id goes on; none or several fail. */
interface DiscoverUserResult {
  userIds?: string[];
  /** What the app may be told, if the site's setting allows it. */
  customErrorMessage?: string | null;
}

interface SendOneTimePasswordArguments {
  /** Record id of the user, if there is one yet. */
  userId: string | null;
  /** Where to, with country code. */
  phoneNumber: string;
  oneTimePassword: string;
  /** The text that would be sent otherwise; it holds the code. */
  defaultText: string;
  /** Record id of the site. */
  networkId: string;
  /** Record id of the site. */
  experienceId: string;
}

type SendOneTimePasswordResult =
  | "SUCCESS"
  | "COUNTRY_BLOCK"
  | "EXCEPTION"
  | "INVALID_PHONE_NUMBER"
  | "MESSAGE_LIMIT_EXCEEDED"
  | "PROVIDER_ERROR";

/** A user as a handler sees one. */
interface SeenUser {
  id: string;
  username: string;
  email: string;
  emailVerified: boolean;
  phone: string | null;
  phoneVerified: boolean;
  firstName: string | null;
  lastName: string;
  profileId: string;
  accountId: string | null;
  /** Neither locked nor disabled. */
  active: boolean;
  attributes: { [name: string]: unknown };
  locale: string;
  timezone: string;
}

interface SeenAccount {
  id: string;
  name: string;
}

interface SeenIdentifier {
  kind: string;
  value: string;
  /** Who holds it. */
  user: SeenUser;
}

interface FetchAnswer {
  status: number;
  /** Whether the status is one of 200 to 299. */
  ok: boolean;
  headers: { [name: string]: string };
  text(): Promise<string>;
  json(): Promise<any>;
}

/** What the server does for a handler, with the rights of the site's "Run As" user. */
declare const vestibule: {
  users: {
    /** Who has this username, address, phone number or record id. More than 50 are an error. */
    find(by: { username: string } | { email: string } | { phone: string } | { id: string }): Promise<SeenUser[]>;
    /** Describes a new user; nothing is written. */
    create(draft: CreateUserResult): CreateUserResult;
  };
  accounts: {
    find(by: { name: string } | { id: string }): Promise<SeenAccount[]>;
    /** Describes a new account; nothing is written. */
    create(draft: { name: string }): AccountDraft;
  };
  identifiers: {
    /** Who holds this external identifier, such as an order number. */
    find(by: { kind: string; value: string }): Promise<SeenIdentifier[]>;
  };
  /** Writes into the record of the call: `vestibule handler calls CALL` shows it. */
  log(...values: unknown[]): void;
  /** Asks a server whose host the handler's version allows (`--allow-host`). */
  fetch(
    url: string,
    options?: { method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE"; headers?: { [name: string]: string }; body?: string },
  ): Promise<FetchAnswer>;
};
