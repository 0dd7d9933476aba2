//! The rows of the error table, in the alphabetical order of [`WireError`].
//!
//! This file owns the texts; `error` owns their rendering. The HTTP status is 400 unless the row has another: the
//! published tables name no status, and callers only distinguish success from failure. A headless code that is not
//! in the published tables is marked in its source.

use super::{AuthenticationScheme, ErrorRow, Shape, WireError};

const ROWS: usize = WireError::UvidInvalid as usize + 1;

/// One row per [`WireError`], in the order of the variants.
pub static TABLE: [ErrorRow; ROWS] = ROWS_IN_ORDER;

// `WireError::row` indexes the table by the variant; a row out of order does not compile.
const _: () = {
    let mut index = 0;
    while index < ROWS {
        assert!(ROWS_IN_ORDER[index].error as usize == index);
        index += 1;
    }
};

const FORGOT_PASSWORD: &str = "Headless Forgot Password";
const AUTHORIZATION_ERRORS: &str = "OAuth Authorization Errors";
const ATTESTATION: &str = "draft-ietf-oauth-attestation-based-client-auth";
const FIRST_PARTY: &str = "draft-ietf-oauth-first-party-apps";
const ANALOGY: &str = "by analogy with Headless Forgot Password";

const HEADLESS: &[Shape] = &[Shape::Headless, Shape::Merged];
const MERGED_AND_OAUTH: &[Shape] = &[Shape::OAuth, Shape::Merged];
const OAUTH: &[Shape] = &[Shape::OAuth];
const EVERYWHERE: &[Shape] = &[Shape::Headless, Shape::OAuth, Shape::Merged];

/// A row for the OAuth endpoints.
const fn oauth(
    error: WireError,
    name: &'static str,
    description: &'static str,
    source: &'static str,
) -> ErrorRow {
    ErrorRow {
        error,
        status_code: name,
        name,
        member: name,
        description,
        http_status: 400,
        challenge: None,
        may_redirect: false,
        shapes: OAUTH,
        source,
    }
}

/// A row for the headless endpoints.
const fn headless(
    error: WireError,
    status_code: &'static str,
    name: &'static str,
    description: &'static str,
    source: &'static str,
) -> ErrorRow {
    ErrorRow {
        status_code,
        shapes: HEADLESS,
        ..oauth(error, name, description, source)
    }
}

const fn redirectable(row: ErrorRow) -> ErrorRow {
    ErrorRow {
        may_redirect: true,
        ..row
    }
}

const fn challenged(row: ErrorRow, http_status: u16, challenge: AuthenticationScheme) -> ErrorRow {
    ErrorRow {
        http_status,
        challenge: Some(challenge),
        ..row
    }
}

const fn everywhere(row: ErrorRow, http_status: u16) -> ErrorRow {
    ErrorRow {
        http_status,
        shapes: EVERYWHERE,
        ..row
    }
}

const ROWS_IN_ORDER: [ErrorRow; ROWS] = [
    challenged(
        oauth(
            WireError::AccessTokenInvalid,
            "invalid_token",
            "the access token is expired, revoked or malformed",
            "RFC 6750 3.1",
        ),
        401,
        AuthenticationScheme::BearerInvalidToken,
    ),
    oauth(
        WireError::AppAccessInvalid,
        "invalid_app_access",
        "user is not admin approved to access this app",
        "Permitted Users of a connected app",
    ),
    oauth(
        WireError::AttestationChallengeNeeded,
        "use_attestation_challenge",
        "prove possession over a fresh attestation challenge",
        ATTESTATION,
    ),
    challenged(
        oauth(
            WireError::AttestationInvalid,
            "invalid_client_attestation",
            "the client attestation or its proof of possession is invalid",
            ATTESTATION,
        ),
        401,
        AuthenticationScheme::Attestation,
    ),
    oauth(
        WireError::AttestationStale,
        "use_fresh_attestation",
        "the client attestation is over",
        ATTESTATION,
    ),
    oauth(
        WireError::AuthSessionInvalid,
        "invalid_session",
        "auth_session is unknown, over or of another client",
        FIRST_PARTY,
    ),
    oauth(
        WireError::AuthenticationFailure,
        "invalid_grant",
        "authentication failure",
        AUTHORIZATION_ERRORS,
    ),
    everywhere(
        challenged(
            headless(
                WireError::AuthenticationRequired,
                "authentication_req",
                "invalid_request",
                "include an authentication header",
                FORGOT_PASSWORD,
            ),
            401,
            AuthenticationScheme::Bearer,
        ),
        401,
    ),
    everywhere(
        headless(
            WireError::BodyTooLarge,
            "invalid_params",
            "invalid_request",
            "request body too large",
            "RFC 9110 15.5.14",
        ),
        413,
    ),
    challenged(
        oauth(
            WireError::ClientAttestationRequired,
            "invalid_client",
            "client attestation is missing or invalid",
            FIRST_PARTY,
        ),
        401,
        AuthenticationScheme::Attestation,
    ),
    oauth(
        WireError::ClientCredentialsInvalid,
        "invalid_client",
        "invalid client credentials",
        AUTHORIZATION_ERRORS,
    ),
    challenged(
        oauth(
            WireError::ClientCredentialsInvalidBasic,
            "invalid_client",
            "invalid client credentials",
            "RFC 6749 5.2",
        ),
        401,
        AuthenticationScheme::Basic,
    ),
    oauth(
        WireError::ClientIdUnknown,
        "invalid_client_id",
        "client identifier invalid",
        AUTHORIZATION_ERRORS,
    ),
    oauth(
        WireError::ClientNotApproved,
        "invalid_grant",
        "user hasn't approved this consumer",
        AUTHORIZATION_ERRORS,
    ),
    redirectable(oauth(
        WireError::CodeChallengeInvalid,
        "invalid_request",
        "invalid code challenge",
        "RFC 7636 4.4.1",
    )),
    redirectable(oauth(
        WireError::CodeChallengeMissing,
        "invalid_request",
        "missing required code challenge",
        "RFC 7636 4.4.1",
    )),
    oauth(
        WireError::CodeExpired,
        "invalid_grant",
        "expired authorization code",
        AUTHORIZATION_ERRORS,
    ),
    oauth(
        WireError::CodeInvalid,
        "invalid_grant",
        "invalid authorization code",
        AUTHORIZATION_ERRORS,
    ),
    oauth(
        WireError::CodeVerifierInvalid,
        "invalid_grant",
        "invalid code verifier",
        "RFC 7636 4.6",
    ),
    everywhere(
        headless(
            WireError::CodesExhausted,
            "rate_limit_exceeded",
            "rate_limit_exceeded",
            "too many one-time passwords requested",
            "not documented: by analogy with the rate of logins",
        ),
        429,
    ),
    everywhere(
        headless(
            WireError::ContentEncodingUnsupported,
            "invalid_params",
            "invalid_request",
            "content encoding or media type not supported",
            "RFC 9110 15.5.16",
        ),
        415,
    ),
    oauth(
        WireError::FlowNotEnabled,
        "invalid_client",
        "code credential flow not enabled",
        AUTHORIZATION_ERRORS,
    ),
    headless(
        WireError::ForgotPasswordDisabled,
        "headless_forgot_password_disabled",
        "invalid_experience",
        "enable the headless forgot password flow",
        FORGOT_PASSWORD,
    ),
    oauth(
        WireError::GrantNotEnabled,
        "invalid_grant",
        "no client credentials user enabled",
        AUTHORIZATION_ERRORS,
    ),
    oauth(
        WireError::GrantTypeUnsupported,
        "unsupported_grant_type",
        "grant type not supported",
        AUTHORIZATION_ERRORS,
    ),
    ErrorRow {
        shapes: MERGED_AND_OAUTH,
        ..headless(
            WireError::HeadlessRegistrationDisabled,
            "headless_registration_disabled",
            "invalid_experience",
            "enable the headless registration flow",
            ANALOGY,
        )
    },
    everywhere(
        headless(
            WireError::HttpsRequired,
            "https_required",
            "invalid_request",
            "use a URL that starts with HTTPS",
            FORGOT_PASSWORD,
        ),
        403,
    ),
    challenged(
        oauth(
            WireError::InsufficientScope,
            "insufficient_scope",
            "the access token lacks the scope this request needs",
            "RFC 6750 3.1",
        ),
        403,
        AuthenticationScheme::BearerInsufficientScope,
    ),
    challenged(
        headless(
            WireError::InvalidAuthorization,
            "invalid_authorization",
            "invalid_request",
            "authentication failure",
            FORGOT_PASSWORD,
        ),
        401,
        AuthenticationScheme::BearerInvalidToken,
    ),
    everywhere(
        headless(
            WireError::InvalidDomain,
            "invalid_domain",
            "invalid_request",
            "invalid domain",
            FORGOT_PASSWORD,
        ),
        404,
    ),
    headless(
        WireError::InvalidOtp,
        "invalid_otp",
        "otp_error",
        "invalid OTP",
        FORGOT_PASSWORD,
    ),
    headless(
        WireError::InvalidParameters,
        "invalid_params",
        "invalid_request",
        "invalid parameters",
        FORGOT_PASSWORD,
    ),
    redirectable(oauth(
        WireError::InvalidRequest,
        "invalid_request",
        "a parameter is missing, repeated or malformed",
        "RFC 6749 4.1.2.1, 5.2",
    )),
    challenged(
        headless(
            WireError::MissingAuthParameters,
            "missing_auth_params",
            "invalid_request",
            "include an authentication header or reCAPTCHA parameter",
            FORGOT_PASSWORD,
        ),
        401,
        AuthenticationScheme::Bearer,
    ),
    headless(
        WireError::OtpGenerationFailed,
        "otp_generation_failed",
        "otp_error",
        "OTP generation failed",
        FORGOT_PASSWORD,
    ),
    oauth(
        WireError::PasswordExpired,
        "invalid_grant",
        "expired password",
        "not documented: points the caller to the forgot password flow",
    ),
    ErrorRow {
        // No OAuth error name contains a space, so the `error` of the merged shape is the general one.
        name: "invalid_request",
        ..headless(
            WireError::PasswordPolicyCheckFailure,
            "password_policy_check_failure",
            "password error",
            "password does not follow policy",
            FORGOT_PASSWORD,
        )
    },
    ErrorRow {
        shapes: MERGED_AND_OAUTH,
        ..headless(
            WireError::PasswordlessLoginDisabled,
            "headless_passwordless_login_disabled",
            "invalid_experience",
            "enable the headless passwordless login flow",
            ANALOGY,
        )
    },
    everywhere(
        headless(
            WireError::PostRequired,
            "post_required",
            "invalid_request",
            "use a POST request",
            FORGOT_PASSWORD,
        ),
        405,
    ),
    everywhere(
        oauth(
            WireError::RateLimitExceeded,
            "rate_limit_exceeded",
            "login rate exceeded",
            AUTHORIZATION_ERRORS,
        ),
        429,
    ),
    headless(
        WireError::RecaptchaInvalid,
        "invalid_recaptcha",
        "invalid_request",
        "invalid reCAPTCHA token",
        FORGOT_PASSWORD,
    ),
    headless(
        WireError::RecaptchaRequired,
        "recaptcha_req",
        "invalid_request",
        "include a reCAPTCHA parameter",
        FORGOT_PASSWORD,
    ),
    oauth(
        WireError::RedirectUriMismatch,
        "redirect_uri_mismatch",
        "redirect_uri must match configuration",
        AUTHORIZATION_ERRORS,
    ),
    oauth(
        WireError::RedirectUriMissing,
        "redirect_uri_missing",
        "redirect_uri not provided",
        AUTHORIZATION_ERRORS,
    ),
    headless(
        WireError::RegenerateOtp,
        "regenerate_otp",
        "otp_error",
        "user made too many invalid attempts; regenerate OTP",
        FORGOT_PASSWORD,
    ),
    oauth(
        WireError::RegistrationError,
        "registration_error",
        "user was unable to be created in apex",
        "Headless Registration, handler errors",
    ),
    redirectable(oauth(
        WireError::ResponseTypeUnsupported,
        "unsupported_response_type",
        "response type is not supported",
        AUTHORIZATION_ERRORS,
    )),
    redirectable(oauth(
        WireError::ScopeInvalid,
        "invalid_scope",
        "the requested scope is not allowed",
        AUTHORIZATION_ERRORS,
    )),
    redirectable(ErrorRow {
        http_status: 500,
        ..oauth(
            WireError::ServerError,
            "server_error",
            "the server could not answer this request",
            "RFC 6749 4.1.2.1",
        )
    }),
    headless(
        WireError::TemplateInvalid,
        "invalid_template",
        "invalid_param",
        "invalid email template",
        FORGOT_PASSWORD,
    ),
    headless(
        WireError::TemplateNotAllowed,
        "not_allowed_template",
        "invalid_param",
        "email template not allowlisted",
        FORGOT_PASSWORD,
    ),
    redirectable(everywhere(
        oauth(
            WireError::TemporarilyUnavailable,
            "temporarily_unavailable",
            "the server is busy; retry your request",
            "RFC 6749 4.1.2.1",
        ),
        503,
    )),
    oauth(
        WireError::TokenExpired,
        "invalid_grant",
        "expired access/refresh token",
        AUTHORIZATION_ERRORS,
    ),
    oauth(
        WireError::TokenTypeUnsupported,
        "unsupported_token_type",
        "this kind of token cannot be revoked",
        "RFC 7009 2.2.1",
    ),
    redirectable(oauth(
        WireError::UnauthorizedClient,
        "unauthorized_client",
        "app not permitted for this user or flow",
        AUTHORIZATION_ERRORS,
    )),
    ErrorRow {
        http_status: 500,
        ..headless(
            WireError::UnknownError,
            "unknown_error",
            "unknown_error",
            "retry your request",
            FORGOT_PASSWORD,
        )
    },
    headless(
        WireError::UserAccountLocked,
        "user_account_locked",
        "invalid_user",
        "user account is locked",
        FORGOT_PASSWORD,
    ),
    oauth(
        WireError::UserInactive,
        "inactive_user",
        "user is inactive",
        AUTHORIZATION_ERRORS,
    ),
    oauth(
        WireError::UvidInvalid,
        "invalid_request",
        "invalid uvid_hint",
        "not documented: by analogy with the other parameters",
    ),
];
