//! What is wanted of every state at every door, and the page that says so.

/// A door, and what happens there to a user who is good, unverified, locked, held, disabled, deleted,
/// and without a password.
pub type Row = (&'static str, [&'static str; 7]);

/// A code that proves an address or a number is sent.
const SENT: &str = "success, a code is sent";
/// The same answer, and no message.
const SILENT: &str = "success, nothing is sent";
/// The same answer; the owner of the address is told of the account.
const NOTICE: &str = "success, a notice is sent";
const FAILURE: &str = "invalid_grant: authentication failure";
const BAD_CODE: &str = "invalid_grant: invalid authorization code";
const EXPIRED: &str = "invalid_grant: expired access/refresh token";
const DEAD: &str = "invalid_token: the access token is expired, revoked or malformed";
const INACTIVE: &str = r#"{"active":false}"#;
const LOCKED: &str = "user_account_locked";
const OTP: &str = "invalid_otp";

const PASSWORD: Row = (
    "password login",
    ["in", "in", FAILURE, FAILURE, FAILURE, FAILURE, FAILURE],
);
const BY_EMAIL: &str = "passwordless login by email, ask";
const BY_SMS: &str = "passwordless login by sms, ask";
const RESET: &str = "forgot password, ask";
const AGAIN: &str = "registration of the same username, ask";
const CHOICE: &str = "forgot password, code";

const TO_STRANGERS: [&str; 7] = [SENT, SILENT, SILENT, SENT, SILENT, SILENT, SENT];
const TO_KNOWING: [&str; 7] = [SENT, SILENT, LOCKED, SENT, SILENT, SILENT, SENT];
const PROOF: [&str; 7] = ["in", FAILURE, FAILURE, "in", FAILURE, FAILURE, "in"];
const EMAIL_CODE: Row = ("passwordless login by email, code", PROOF);
const SMS_CODE: Row = ("passwordless login by sms, code", PROOF);

const CLAIMS: [&str; 7] = ["claims", "claims", DEAD, "claims", DEAD, DEAD, "claims"];
const USERINFO: Row = ("userinfo", CLAIMS);
const IDENTITY: Row = ("identity URL", CLAIMS);
const ACTIVE: [&str; 7] = [
    "active", "active", INACTIVE, "active", INACTIVE, INACTIVE, "active",
];
const ASK_ACCESS: Row = ("introspection of an access token", ACTIVE);
const ASK_REFRESH: Row = ("introspection of a refresh token", ACTIVE);
const EXCHANGE: Row = (
    "code exchange",
    [
        "tokens", "tokens", FAILURE, "tokens", FAILURE, BAD_CODE, "tokens",
    ],
);
const REFRESH: Row = (
    "refresh",
    [
        "tokens", "tokens", EXPIRED, "tokens", EXPIRED, EXPIRED, "tokens",
    ],
);
const REVOKE: Row = ("revocation", ["success"; 7]);

/// At the public site.
pub const OF_STRANGER: &[Row] = &[
    PASSWORD,
    (BY_EMAIL, TO_STRANGERS),
    (BY_SMS, TO_STRANGERS),
    (RESET, TO_STRANGERS),
    (
        AGAIN,
        [NOTICE, NOTICE, NOTICE, NOTICE, NOTICE, SENT, NOTICE],
    ),
    EMAIL_CODE,
    SMS_CODE,
    USERINFO,
    IDENTITY,
    ASK_ACCESS,
    ASK_REFRESH,
    EXCHANGE,
    REFRESH,
    REVOKE,
    (
        CHOICE,
        ["success", OTP, OTP, "success", OTP, OTP, "success"],
    ),
];

const TAKEN: &str = "invalid_params";

/// At the private site, with the integration client's token.
pub const OF_BACKEND: &[Row] = &[
    PASSWORD,
    (BY_EMAIL, TO_KNOWING),
    (BY_SMS, TO_KNOWING),
    (RESET, TO_KNOWING),
    (AGAIN, [TAKEN, TAKEN, TAKEN, TAKEN, TAKEN, SENT, TAKEN]),
    EMAIL_CODE,
    SMS_CODE,
    USERINFO,
    IDENTITY,
    ASK_ACCESS,
    ASK_REFRESH,
    EXCHANGE,
    REFRESH,
    REVOKE,
    (
        CHOICE,
        ["success", OTP, LOCKED, "success", OTP, OTP, "success"],
    ),
];

/// At the public site, with `disclose_account_state`.
pub const OF_DISCLOSING: &[Row] = &[
    (
        "password login",
        [
            "in",
            "in",
            FAILURE,
            FAILURE,
            "inactive_user: user is inactive",
            FAILURE,
            FAILURE,
        ],
    ),
    (BY_EMAIL, TO_KNOWING),
    (BY_SMS, TO_KNOWING),
    (RESET, TO_KNOWING),
    (AGAIN, [TAKEN, TAKEN, TAKEN, TAKEN, TAKEN, SENT, TAKEN]),
    EMAIL_CODE,
    SMS_CODE,
    USERINFO,
    IDENTITY,
    ASK_ACCESS,
    ASK_REFRESH,
    EXCHANGE,
    REFRESH,
    REVOKE,
    (
        CHOICE,
        ["success", OTP, LOCKED, "success", OTP, OTP, "success"],
    ),
];

const INTRODUCTION: &str = "# Accounts: every state at every door

This page is printed by a test that tries each cell on both databases
(`VESTIBULE_UPDATE_DOCS=1 cargo test --test it accounts`).

| state | what it is | how it begins | how it ends |
|---|---|---|---|
| good | verified address, verified number, a password | | |
| unverified | neither address nor number has proven itself | `vestibule user create` without `--email-verified` | a proof, such as a registration |
| locked | closed by an administrator | `vestibule user lock` | `vestibule user unlock` |
| held | too many wrong passwords; only the password door is closed | 10 failures in a row, by the profile's policy | by itself after 15 minutes, by a reset, by `user unlock`, by `user set-password` |
| disabled | out of use | `vestibule user disable` | `vestibule user enable` |
| deleted | gone | `vestibule user delete` | never; the username is free again |
| without password | never had one | `vestibule user create` without `--password-file` | a reset, `user set-password` |

A password is a proof of its own, so a user whose address is not verified may come in by it, and by nothing that would be sent to that
address. Locking, disabling, deleting and every new password end all sessions and all that was begun: tokens, authorization codes and one-time passwords
from before stay dead after `unlock` and `enable`.
\"Code\" rows are about a code that was sent while the account was good. Commands: [commands](commands.md).
";

const NOTES: &str = "
Disabled, locked and deleted users are alike to a stranger who has nothing but their names. A notice tells the owner of an address of the
account that is there; the stranger gets the answer that everybody gets. Revocation answers the same whatever the token was (RFC 7009
section 2.2).

Wrong passwords close only the password door, and wrong codes ([limits](limits.md)) only those of codes. Somebody who keeps at both, with a
hundred wrong codes a day of which the owner gets the mails, keeps the owner out for as long; `vestibule user unlock` opens both at once.
";

/// `docs/reference/accounts.md`.
pub fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (heading, table) in [
        ("A stranger, at a site that asks for no token", OF_STRANGER),
        ("A backend with a token", OF_BACKEND),
        (
            "A stranger, at a site with `disclose_account_state`",
            OF_DISCLOSING,
        ),
    ] {
        page.push_str(&format!(
            "\n## {heading}\n\n| door | good | unverified | locked | held | disabled | deleted | without password |\n\
             |---|---|---|---|---|---|---|---|\n"
        ));
        for (door, cells) in table {
            page.push_str(&format!("| {door} | {} |\n", cells.join(" | ")));
        }
    }
    page.push_str(NOTES);
    page
}
