//! The expected answer of every operation in every account state, and the page that lists them.

/// An operation, and its answer for a user who is good, unverified, locked, locked out, disabled, deleted,
/// and without a password.
pub type Row = (&'static str, Cells);

/// One answer for each account state.
type Cells = [&'static str; 7];

/// A code that verifies an address or a number is sent.
const SENT: &str = "success, a code is sent";
/// The same answer, and no message.
const SILENT: &str = "success, nothing is sent";
/// The same answer; the owner of the address gets a notice about the account.
const NOTICE: &str = "success, a notice is sent";
const FAILURE: &str = "invalid_grant: authentication failure";
const BAD_CODE: &str = "invalid_grant: invalid authorization code";
const EXPIRED: &str = "invalid_grant: expired access/refresh token";
const DEAD: &str = "invalid_token: the access token is expired, revoked or malformed";
const INACTIVE: &str = r#"{"active":false}"#;
const LOCKED: &str = "user_account_locked";
const OTP: &str = "invalid_otp";
const TAKEN: &str = "invalid_params";

/// A request for a code, where the state of the account is not disclosed.
const CODE_UNDISCLOSED: Cells = [SENT, SILENT, SILENT, SENT, SILENT, SILENT, SENT];
/// The same where it is.
const CODE_DISCLOSED: Cells = [SENT, SILENT, LOCKED, SENT, SILENT, SILENT, SENT];

const LOGIN_BY_CODE: Cells = ["in", FAILURE, FAILURE, "in", FAILURE, FAILURE, "in"];
const CLAIMS: Cells = ["claims", "claims", DEAD, "claims", DEAD, DEAD, "claims"];
const ACTIVE: Cells = [
    "active", "active", INACTIVE, "active", INACTIVE, INACTIVE, "active",
];

/// The answers that depend on the caller.
struct Answers {
    password_login: Cells,
    request_for_a_code: Cells,
    same_username: Cells,
    new_password: Cells,
}

/// At the public site.
const UNAUTHENTICATED: Answers = Answers {
    password_login: ["in", "in", FAILURE, FAILURE, FAILURE, FAILURE, FAILURE],
    request_for_a_code: CODE_UNDISCLOSED,
    same_username: [NOTICE, NOTICE, NOTICE, NOTICE, NOTICE, SENT, NOTICE],
    new_password: ["success", OTP, OTP, "success", OTP, OTP, "success"],
};

/// At the private site, with the integration client's token.
const BACKEND: Answers = Answers {
    password_login: UNAUTHENTICATED.password_login,
    request_for_a_code: CODE_DISCLOSED,
    same_username: [TAKEN, TAKEN, TAKEN, TAKEN, TAKEN, SENT, TAKEN],
    new_password: ["success", OTP, LOCKED, "success", OTP, OTP, "success"],
};

/// At the public site, with `disclose_account_state`.
const DISCLOSING: Answers = Answers {
    password_login: [
        "in",
        "in",
        FAILURE,
        FAILURE,
        "inactive_user: user is inactive",
        FAILURE,
        FAILURE,
    ],
    ..BACKEND
};

/// The rows of a kind of caller.
const fn rows(answers: Answers) -> [Row; 15] {
    let code = answers.request_for_a_code;
    [
        ("password login", answers.password_login),
        ("passwordless login by email, request", code),
        ("passwordless login by sms, request", code),
        ("forgot password, request", code),
        (
            "registration of the same username, request",
            answers.same_username,
        ),
        ("passwordless login by email, code", LOGIN_BY_CODE),
        ("passwordless login by sms, code", LOGIN_BY_CODE),
        ("userinfo", CLAIMS),
        ("identity URL", CLAIMS),
        ("introspection of an access token", ACTIVE),
        ("introspection of a refresh token", ACTIVE),
        (
            "code exchange",
            [
                "tokens", "tokens", FAILURE, "tokens", FAILURE, BAD_CODE, "tokens",
            ],
        ),
        (
            "refresh",
            [
                "tokens", "tokens", EXPIRED, "tokens", EXPIRED, EXPIRED, "tokens",
            ],
        ),
        ("revocation", ["success"; 7]),
        ("forgot password, code", answers.new_password),
    ]
}

/// At the public site.
pub const OF_UNAUTHENTICATED: [Row; 15] = rows(UNAUTHENTICATED);

/// At the private site, with the integration client's token.
pub const OF_BACKEND: [Row; 15] = rows(BACKEND);

/// At the public site, with `disclose_account_state`.
pub const OF_DISCLOSING: [Row; 15] = rows(DISCLOSING);

const INTRODUCTION: &str = "# Accounts: each login method in each account state

This page is printed by a test that checks each cell on both databases
(`VESTIBULE_UPDATE_DOCS=1 cargo test --test it accounts`).

| state | meaning | begins with | ends with |
|---|---|---|---|
| good | verified email address, verified phone number, a password | | |
| unverified | neither the address nor the number is verified | `vestibule user create` without `--email-verified` | a verification, such as a registration |
| locked | all logins are blocked by an administrator | `vestibule user lock` | `vestibule user unlock` |
| locked out | too many wrong passwords; only login by password is blocked | 10 failures in a row, by the profile's policy | 15 minutes, a reset, `user unlock`, `user set-password` |
| disabled | the account is not in use | `vestibule user disable` | `vestibule user enable` |
| deleted | the account does not exist any more | `vestibule user delete` | nothing; the username can be used again |
| without password | the user never had a password | `vestibule user create` without `--password-file` | a reset, `user set-password` |

A password does not depend on a verified address: an unverified user can log in with a password, and with nothing that would be sent to the unverified
address. Locking, disabling, deleting and every new password end all sessions and all flows in progress: tokens, authorization codes and one-time passwords
from before stay invalid after `unlock` and `enable`.
The rows that end in \"request\" request a one-time password. The rows that end in \"code\" are about a one-time password that was sent while the account was good. Commands: [commands](commands.md).
";

const NOTES: &str = "
An unauthenticated caller who knows only usernames cannot distinguish disabled, locked and deleted users. If a username is registered again, the owner of the
address gets a notice about the existing account, and the caller gets the usual answer. Revocation answers the same whatever the token was (RFC 7009
section 2.2).

Wrong passwords block only the login by password, and wrong codes ([limits](limits.md)) only the login by code. An attacker who continues with both
locks the user out for as long as the attack lasts. It needs a hundred wrong codes a day, and the user gets the emails with these codes. `vestibule user unlock` resets both at once.
";

/// `docs/reference/accounts.md`.
pub fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (heading, table) in [
        (
            "An unauthenticated caller, at a site that requires no token",
            OF_UNAUTHENTICATED,
        ),
        ("A backend with a token", OF_BACKEND),
        (
            "An unauthenticated caller, at a site with `disclose_account_state`",
            OF_DISCLOSING,
        ),
    ] {
        page.push_str(&format!(
            "\n## {heading}\n\n| operation | good | unverified | locked | locked out | disabled | deleted | without password |\n\
             |---|---|---|---|---|---|---|---|\n"
        ));
        for (operation, cells) in table {
            page.push_str(&format!("| {operation} | {} |\n", cells.join(" | ")));
        }
    }
    page.push_str(NOTES);
    page
}
