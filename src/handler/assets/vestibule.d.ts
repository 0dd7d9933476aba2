// Vestibule: types for handlers.
//
// Store this file in the folder of your handler and begin the handler with
//   /// <reference path="./vestibule.d.ts" />
// Then an editor completes and checks the code. `vestibule handler types` prints this file.

/** A site's registration handler: it describes the new user. */
type CreateUser = (args: CreateUserArguments) => CreateUserResult | Promise<CreateUserResult>;
/** A site's discovery handler: it finds the user for an identifier. */
type DiscoverUser = (args: DiscoverUserArguments) => DiscoverUserResult | Promise<DiscoverUserResult>;
/** A site's delivery handler: it sends a text message. */
type SendOneTimePassword = (args: SendOneTimePasswordArguments) => SendOneTimePasswordResult | Promise<SendOneTimePasswordResult>;

interface CreateUserArguments {
  /** Record id of the new user's profile. */
  profileId: string;
  /** The data of the new user, as the app sent them. */
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
  /** Members of `userdata` without a documented meaning, as text; also `phone`. */
  attributeMap: { [name: string]: string };
}

/** Only the `id` of an existing user, or the description of a new one. Absent members keep the value of the request. */
interface CreateUserResult {
  /** An existing user that the registration is attached to. The address or phone of the registration must be the user's verified one. */
  id?: string | null;
  /** The request's username, or absent. */
  username?: string | null;
  /** The request's address, or absent. */
  email?: string | null;
  firstName?: string | null;
  lastName?: string | null;
  /** With the country code: +12035550100. */
  phone?: string | null;
  /** de_DE */
  locale?: string | null;
  /** Europe/Berlin */
  timezone?: string | null;
  /** The profile that the handler received, or absent. */
  profileId?: string | null;
  /** Record id of an existing account. */
  accountId?: string | null;
  /** The account by its name; a missing account is created if `create` is true. */
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
  /** CommunityUrl, IpAddress, UserAgent, Platform, Application, City, Country, Subdivision; unknown values are absent. */
  requestAttributes: { [name: string]: string };
}

/** The flow continues with exactly one id. With none or several it fails. */
interface DiscoverUserResult {
  userIds?: string[];
  /** A message for the app. It is sent only if the site's setting allows it. */
  customErrorMessage?: string | null;
}

interface SendOneTimePasswordArguments {
  /** Record id of the user; null in a registration. */
  userId: string | null;
  /** The recipient, with the country code. */
  phoneNumber: string;
  oneTimePassword: string;
  /** The text of the built-in message; it contains the code. */
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

/** A user, as handlers get it. */
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
  /** The user who has this identifier. */
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

/** The functions of the server for handlers, with the rights of the site's "Run As" user. */
declare const vestibule: {
  users: {
    /** Finds users by username, email address, phone number or record id. More than 50 matches are an error. */
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
    /** Finds the user with an external identifier, such as an order number. */
    find(by: { kind: string; value: string }): Promise<SeenIdentifier[]>;
  };
  /** Writes a line to the record of the call. `vestibule handler calls CALL` shows it. */
  log(...values: unknown[]): void;
  /** Sends a request to a server whose host the handler version allows (`--allow-host`). */
  fetch(
    url: string,
    options?: { method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE"; headers?: { [name: string]: string }; body?: string },
  ): Promise<FetchAnswer>;
};
