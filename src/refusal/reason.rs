//! Reasons: why a credential was refused, for the log and never for the wire.
//!
//! What a caller learns of a refused credential is coarse on purpose. Support for the users of an app
//! needs more, so the log has one line for each refused credential with one of these words. A reason is a
//! constant and can carry no value of the request. It is taken from what the check has read anyway: a
//! check reads nothing to find a reason, because the time of an answer would disclose it.

/// Declares every reason once: `Variant = "word": "what the log line means", "what to answer the customer";`.
macro_rules! reasons {
    ($( $name:ident = $word:literal: $meaning:literal, $advice:literal; )+) => {
        /// Why a credential was refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reason {
            $( #[doc = $meaning] $name, )+
        }

        impl Reason {
            /// All reasons, in alphabetical order.
            pub const ALL: &[Reason] = &[$( Reason::$name, )+];

            /// The word in the log.
            pub fn as_str(self) -> &'static str {
                match self {
                    $( Reason::$name => $word, )+
                }
            }

            /// What the word means.
            pub fn meaning(self) -> &'static str {
                match self {
                    $( Reason::$name => $meaning, )+
                }
            }

            /// What to answer the customer.
            pub fn advice(self) -> &'static str {
                match self {
                    $( Reason::$name => $advice, )+
                }
            }
        }
    };
}

reasons! {
    AccessTokenClientDisabled = "access_token_client_disabled":
        "The client of the access token was disabled or deleted, or has no guests any more.",
        "The app no longer works. Ask its owner.";
    AccessTokenExpired = "access_token_expired":
        "The access token is a JWT whose time has ended.",
        "The app must refresh its tokens, or log the user in again.";
    AccessTokenForeign = "access_token_foreign":
        "The access token was issued by another site, or is a JWT of another kind.",
        "The app calls the wrong site. Compare the base URLs.";
    AccessTokenMalformed = "access_token_malformed":
        "The text is no access token of this installation: its form or its signature is wrong.",
        "The app sends something else as a token, or a token of another installation.";
    AccessTokenNotLive = "access_token_not_live":
        "The access token is unknown, expired or revoked, or the user's sessions were ended.",
        "The app must refresh its tokens, or log the user in again.";
    AccessTokenNotOfIntegrationUser = "access_token_not_of_integration_user":
        "The access token is live, and its user is no integration user.",
        "The backend must use the token of the client that runs as an integration user.";
    AccessTokenOfGuest = "access_token_of_guest":
        "The access token is a guest's, and the endpoint needs a user's.",
        "The app must log the user in first.";
    AccessTokenScopeMissing = "access_token_scope_missing":
        "The access token is live and lacks the scope that the endpoint needs.",
        "Give the client the scope, then get a new token.";
    AccessTokenUserInactive = "access_token_user_inactive":
        "The user of the access token is locked or disabled.",
        "An administrator has locked or disabled the account.";
    AttestationChallengeNotFresh = "attestation_challenge_not_fresh":
        "The proof of possession has no challenge of this site that is still fresh.",
        "The app must repeat the request with the challenge of the answer.";
    AuthSessionNotAwaited = "auth_session_not_awaited":
        "The step presents a code, and the login waits for none.",
        "The app sends the steps of the login in the wrong order.";
    AuthSessionNotLive = "auth_session_not_live":
        "The auth_session is unknown, expired, used, or belongs to another client, key or site.",
        "The login took longer than ten minutes or was continued twice. Begin again.";
    AuthorizationSchemeUnknown = "authorization_scheme_unknown":
        "The Authorization header has another scheme than Bearer.",
        "The backend must send its access token as a Bearer token.";
    BasicHeaderMalformed = "basic_header_malformed":
        "The Basic header of the client cannot be parsed.",
        "The app must encode client_id and client_secret as RFC 6749 section 2.3.1 says.";
    ClientAssertionInvalid = "client_assertion_invalid":
        "The client assertion does not verify; the line's `part` names the claim or the other part of the JWT that is wrong.",
        "The app's developer must compare the part with the documentation, or register the certificate.";
    ClientAssertionTypeUnknown = "client_assertion_type_unknown":
        "The client_assertion_type is not the one for JWTs.",
        "The app must send the type that RFC 7523 section 2.2 names.";
    ClientAssertionUsedBefore = "client_assertion_used_before":
        "The client assertion was used before, here or on another node.",
        "The app must sign a new assertion for each request.";
    ClientAttestationExpired = "client_attestation_expired":
        "The client attestation has expired.",
        "The app must get a new attestation from its backend.";
    ClientAttestationIncomplete = "client_attestation_incomplete":
        "The client attestation came without a proof of possession, the proof came alone, or a header was sent twice.",
        "The app must send one header of each kind.";
    ClientAttestationInvalid = "client_attestation_invalid":
        "The client attestation does not verify; the line's `part` names the claim or the other part of the JWT that is wrong.",
        "The app's developer must compare the part with the documentation, or register the certificate.";
    ClientPossessionInvalid = "client_possession_invalid":
        "The proof of possession does not verify; the line's `part` names the claim or the other part of the JWT that is wrong.",
        "The app's developer must compare the part with the documentation.";
    ClientPossessionUsedBefore = "client_possession_used_before":
        "The proof of possession was used before, here or on another node.",
        "The app must sign a new proof for each request.";
    ClientSecretMissing = "client_secret_missing":
        "The client has a secret and sent none.",
        "The app must authenticate with its secret.";
    ClientSecretWrong = "client_secret_wrong":
        "The client's secret is wrong.",
        "The app has an old secret or another client's. Compare, or rotate the secret.";
    ClientUnknown = "client_unknown":
        "No client has this client_id, or it was disabled.",
        "The app has the client_id of another installation, or was disabled.";
    CodeExpired = "code_expired":
        "The authorization code was not redeemed in time.",
        "The app must redeem a code at once. Log in again.";
    CodeGuestFlowDisabled = "code_guest_flow_disabled":
        "The code is a guest's, and the client has no guests any more.",
        "Guests were disabled for the app.";
    CodeOfAnotherClient = "code_of_another_client":
        "The authorization code was issued to another client or by another site.",
        "Two apps or two sites are mixed up. Compare client_id and base URL.";
    CodeOfAnotherGuest = "code_of_another_guest":
        "The headers name another guest than the code, or a guest where the code is a user's.",
        "The app mixes up the visitors of two logins.";
    CodeOfAnotherKey = "code_of_another_key":
        "The code was issued to a client that authenticated with another key.",
        "The app must redeem the code on the device and with the key of the login.";
    CodePkceMismatch = "code_pkce_mismatch":
        "The code_verifier is missing, not expected, or does not match the code_challenge.",
        "The app must keep the verifier of the same login. The code is spent: log in again.";
    CodeRedirectUriChanged = "code_redirect_uri_changed":
        "The redirect_uri is not the one of the authorization request, or is registered no more.",
        "The app must repeat the redirect_uri of the authorization request. The code is not spent.";
    CodeSessionEnded = "code_session_ended":
        "The user's sessions were ended after the code was issued, for example by a new password.",
        "Log in again.";
    CodeSpent = "code_spent":
        "The authorization code was redeemed before. Its tokens are revoked now.",
        "The app redeems codes twice, or a code was stolen. Log in again.";
    CodeUnknown = "code_unknown":
        "There is no such authorization code.",
        "The app sends something else as a code, or a code of another installation.";
    CodeUserGone = "code_user_gone":
        "The user of the code was deleted.",
        "The account does not exist any more.";
    OtpChannelMismatch = "otp_channel_mismatch":
        "The one-time password was sent by another channel than the request says.",
        "The app must send the Auth-Verification-Type of the login that it began.";
    OtpRequestNotLive = "otp_request_not_live":
        "The request of the one-time password is unknown, expired, closed, out of attempts, or of another site or login method.",
        "Request a new code. The app must send the identifier of the newest request.";
    OtpSuperseded = "otp_superseded":
        "The one-time password was right, and another request was faster.",
        "The app sends the code twice.";
    OtpTooManyFailures = "otp_too_many_failures":
        "The user or the network has too many wrong codes; no code is compared for now.",
        "Wait a day, or check whether the account is under attack.";
    OtpTriesSpent = "otp_tries_spent":
        "The one-time password has no attempts left.",
        "Request a new code.";
    OtpUserChanged = "otp_user_changed":
        "The one-time password was right, and the user may not use it: unknown, locked, disabled, without this verified address, or changed since the code was sent.",
        "Check the state of the account, then request a new code.";
    OtpWrong = "otp_wrong":
        "The one-time password is wrong.",
        "The user mistyped the code or used an older message.";
    PasswordExpired = "password_expired":
        "The password is right and older than the policy allows.",
        "The user must choose a new password.";
    PasswordLockedOut = "password_locked_out":
        "Too many wrong passwords: login by password is locked out for this user or refused for this network.",
        "Wait, reset the password, or log in by code.";
    PasswordNotPermitted = "password_not_permitted":
        "The password is right, and the user may not log in here: locked, disabled, changed during the login, or of a profile that is no member of the site.",
        "Check the state of the account and the member profiles of the site.";
    PasswordNotSet = "password_not_set":
        "The user has no password.",
        "The user must log in by code, or set a password by a reset.";
    PasswordUserUnknown = "password_user_unknown":
        "The request names no user.",
        "The user mistyped the username, or has no account.";
    PasswordWrong = "password_wrong":
        "The password is wrong.",
        "The user mistyped the password. Offer a reset.";
    RefreshTokenEnded = "refresh_token_ended":
        "The login was ended: revoked, by a reset, or by an earlier reuse; or it has expired by policy.",
        "Log in again.";
    RefreshTokenLoginEnded = "refresh_token_login_ended":
        "The login is not valid any more: the policy of the client, the user's state or a new password ended it.",
        "Check the state of the account and the policies of the client, then log in again.";
    RefreshTokenMalformed = "refresh_token_malformed":
        "The text is no refresh token.",
        "The app sends something else as a refresh token.";
    RefreshTokenOfAnotherClient = "refresh_token_of_another_client":
        "The refresh token was issued to another client.",
        "Two apps are mixed up. Compare the client_id.";
    RefreshTokenOfAnotherKey = "refresh_token_of_another_key":
        "The refresh token was issued to a client that authenticated with another key.",
        "The app was restored on another device or has lost its key. Log in again.";
    RefreshTokenReused = "refresh_token_reused":
        "The refresh token was replaced before. The whole login is ended now.",
        "The app does not save the successor, or a token was stolen. Log in again.";
    RefreshTokenUnknown = "refresh_token_unknown":
        "There is no such refresh token at this site.",
        "The app calls another site or installation, or the login was deleted long after its end.";
    UserDisabled = "user_disabled":
        "The user was disabled.",
        "An administrator has disabled the account.";
    UserLocked = "user_locked":
        "The user was locked by an administrator.",
        "An administrator has locked the account.";
    UvidHintsDiffer = "uvid_hints_differ":
        "The header and the parameter name two visitors.",
        "The app must send one hint.";
    UvidMalformed = "uvid_malformed":
        "The hint is neither a UUID of version 4 nor a JWT.",
        "The app sends something else as a hint.";
    UvidOfAnotherClient = "uvid_of_another_client":
        "The hint is the access token of a user, or of another client's guest.",
        "The app must send the token of its own guest.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_unique_and_in_alphabetical_order() {
        let words: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        let mut sorted = words.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(words, sorted);
    }
}
