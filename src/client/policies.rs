//! A client's policies, under the names of the external client app settings.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use vestibule_protocol::scope::ScopeSet;

use super::callback::check_callback;
use crate::algorithm::Algorithm;
use crate::changes::{self, Invalid, check_range, text_or_list, words_or_list};
use crate::jose::Certificate;
use crate::moment::Moment;

/// What a client may do and what its tokens are.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Policies {
    /// Callbacks. In a request the redirect URI must equal one of them.
    #[serde(deserialize_with = "words_or_list")]
    pub callback_url: Vec<String>,
    /// The most that the client's tokens may carry.
    #[serde(serialize_with = "write_scopes", deserialize_with = "read_scopes")]
    pub scopes: ScopeSet,
    /// "Enable Authorization Code and Credentials Flow".
    pub is_code_cred_flow_enabled: bool,
    /// "Require user credentials in the POST body for Authorization Code and Credentials Flow".
    pub is_code_cred_post_only: bool,
    /// "Enable Client Credentials Flow".
    pub is_client_credentials_flow_enabled: bool,
    /// Whether visitors who have not said who they are get tokens: JWTs, whatever `accessTokenFormat` says.
    pub is_guest_flow_enabled: bool,
    /// The most that a guest's token may carry: some of the scopes, and none that is only for users.
    #[serde(serialize_with = "write_scopes", deserialize_with = "read_scopes")]
    pub guest_scopes: ScopeSet,
    /// The user that the client credentials flow runs as: a username or a record id.
    pub client_credentials_flow_user: Option<String>,
    /// The inverse of "Require Secret for Web Server Flow": on for a public client.
    pub is_consumer_secret_optional: bool,
    /// "Require Proof Key for Code Exchange".
    pub is_pkce_required: bool,
    /// Whether the app may log users in without a browser at the authorization challenge endpoint
    /// (OAuth 2.0 for First-Party Applications).
    pub is_first_party_app_enabled: bool,
    /// The X.509 certificates, in PEM, with whose keys the app signs its client assertions and
    /// attestations; several while one replaces another.
    #[serde(deserialize_with = "text_or_list")]
    pub client_assertion_certificate: Vec<String>,
    /// "Introspect all tokens": whether the app, a resource server, may introspect the access tokens of other apps.
    pub is_introspect_all_tokens: bool,
    /// "Permitted Users".
    pub permitted_users: PermittedUsers,
    /// The profiles that are pre-authorised: names or record ids.
    #[serde(deserialize_with = "words_or_list")]
    pub permitted_profiles: Vec<String>,
    /// Lifetime of an authorization code: 1 to 600 seconds.
    pub authorization_code_lifetime_seconds: i64,
    /// Whether access tokens are opaque or JWTs.
    pub access_token_format: AccessTokenFormat,
    /// Lifetime of an access token, 60 seconds to 24 hours; by default 2 hours, as a JWT 30 minutes.
    pub access_token_lifetime_seconds: Option<i64>,
    /// What JWT access tokens are signed with.
    pub access_token_signing_alg: Algorithm,
    /// What id_tokens are signed with.
    pub id_token_signing_alg: Algorithm,
    /// Lifetime of an id_token, 60 to 43,200 seconds.
    pub id_token_lifetime_seconds: i64,
    /// "Require Secret for Refresh Token Flow"; where nothing is said, as for the code.
    pub is_secret_required_for_refresh_token: Option<bool>,
    /// "Enable Refresh Token Rotation": every refresh replaces the refresh token. Where nothing is
    /// said, on for a client without a secret (RFC 9700 section 4.14.2) and else off.
    pub is_refresh_token_rotation_enabled: Option<bool>,
    /// "Refresh Token Policy".
    pub refresh_token_policy_type: RefreshTokenPolicyType,
    /// The period of the policies that have one: 1 to 1,000 of its unit.
    pub refresh_token_validity_period: i64,
    /// The unit of that period.
    pub refresh_token_validity_unit: ValidityUnit,
    /// Members that this version does not know, which a newer one has saved: they have no effect and are kept.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// "Refresh Token Policy": how long the refresh tokens of one login are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefreshTokenPolicyType {
    /// "Refresh token is valid until revoked".
    Infinite,
    /// "Expire refresh token if not used for" the period.
    SpecificInactivity,
    /// "Expire refresh token after" the period, however often it is used.
    SpecificLifetime,
    /// "Immediately expire refresh token": none is issued.
    Zero,
}

/// The unit of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ValidityUnit {
    /// Of 24 hours.
    Days,
    /// Of 60 minutes.
    Hours,
    /// Of 30 days.
    Months,
}

/// "Permitted Users".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PermittedUsers {
    /// "Admin approved users are pre-authorized": only the permitted profiles.
    AdminApprovedPreAuthorized,
    /// "All users may self-authorize".
    AllSelfAuthorized,
}

/// The form of an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessTokenFormat {
    /// Random text, looked up.
    Opaque,
    /// A signed JWT.
    Jwt,
}

impl Default for Policies {
    fn default() -> Self {
        Policies {
            callback_url: Vec::new(),
            scopes: ScopeSet::default(),
            is_code_cred_flow_enabled: false,
            is_code_cred_post_only: false,
            is_client_credentials_flow_enabled: false,
            is_guest_flow_enabled: false,
            guest_scopes: ScopeSet::default(),
            client_credentials_flow_user: None,
            is_consumer_secret_optional: false,
            is_pkce_required: true,
            is_first_party_app_enabled: false,
            client_assertion_certificate: Vec::new(),
            is_introspect_all_tokens: false,
            permitted_users: PermittedUsers::AdminApprovedPreAuthorized,
            permitted_profiles: Vec::new(),
            authorization_code_lifetime_seconds: 60,
            access_token_format: AccessTokenFormat::Opaque,
            access_token_lifetime_seconds: None,
            access_token_signing_alg: Algorithm::RS256,
            id_token_signing_alg: Algorithm::RS256,
            id_token_lifetime_seconds: 120,
            is_secret_required_for_refresh_token: None,
            is_refresh_token_rotation_enabled: None,
            refresh_token_policy_type: RefreshTokenPolicyType::Infinite,
            refresh_token_validity_period: 30,
            refresh_token_validity_unit: ValidityUnit::Days,
            unknown: Map::new(),
        }
    }
}

impl Policies {
    /// The policies with some of them changed, checked as a whole.
    ///
    /// # Errors
    /// The first policy that is unknown or wrong.
    pub fn updated(&self, changes: &Map<String, Value>) -> Result<Policies, Invalid> {
        let policies: Policies = changes::apply(self, changes)?;
        policies.validate()?;
        Ok(policies)
    }

    /// How long an access token of this client lives in a format, in seconds.
    pub fn access_token_lifetime(&self, format: AccessTokenFormat) -> i64 {
        self.access_token_lifetime_seconds.unwrap_or(match format {
            AccessTokenFormat::Opaque => 7_200,
            AccessTokenFormat::Jwt => 1_800,
        })
    }

    /// Whether the client must authenticate itself to refresh.
    pub fn needs_secret_to_refresh(&self) -> bool {
        self.is_secret_required_for_refresh_token
            .unwrap_or(!self.is_consumer_secret_optional)
    }

    /// Whether every refresh replaces the refresh token: only where the policy says so, because a mobile SDK of the
    /// original never stores a successor.
    pub fn rotates_refresh_tokens(&self) -> bool {
        self.is_refresh_token_rotation_enabled.unwrap_or(false)
    }

    /// Whether a login with these scopes gets a refresh token: the app still has the scope, and its
    /// policy does not let the token expire at once.
    pub fn issues_refresh_tokens(&self, granted: &ScopeSet) -> bool {
        granted.contains("refresh_token")
            && self.scopes.contains("refresh_token")
            && self.refresh_token_policy_type != RefreshTokenPolicyType::Zero
    }

    /// When the refresh tokens of a login end, by when they were first issued and last used; `None`
    /// when they are good until they are revoked.
    pub fn refresh_tokens_end_at(&self, issued_at: Moment, last_used_at: Moment) -> Option<Moment> {
        let unit_seconds = match self.refresh_token_validity_unit {
            ValidityUnit::Days => 86_400,
            ValidityUnit::Hours => 3_600,
            ValidityUnit::Months => 30 * 86_400,
        };
        let seconds = self.refresh_token_validity_period * unit_seconds;
        match self.refresh_token_policy_type {
            RefreshTokenPolicyType::Infinite => None,
            RefreshTokenPolicyType::SpecificInactivity => Some(last_used_at.plus_seconds(seconds)),
            RefreshTokenPolicyType::SpecificLifetime => Some(issued_at.plus_seconds(seconds)),
            RefreshTokenPolicyType::Zero => Some(issued_at),
        }
    }

    /// Checks what one field or two fields together rule out.
    ///
    /// # Errors
    /// The first policy that is wrong.
    pub fn validate(&self) -> Result<(), Invalid> {
        for callback in &self.callback_url {
            check_callback(callback).map_err(|reason| Invalid::new("callbackUrl", reason))?;
        }
        if let Some(unknown) = self.scopes.unknown().first() {
            return Err(Invalid::new(
                "scopes",
                format!("there is no scope {unknown:?}"),
            ));
        }
        if self.scopes.is_empty() {
            return Err(Invalid::new("scopes", "select at least one"));
        }
        if self.is_code_cred_flow_enabled && self.callback_url.is_empty() {
            return Err(Invalid::new(
                "callbackUrl",
                "this flow needs at least one callback",
            ));
        }
        if self.is_client_credentials_flow_enabled && self.client_credentials_flow_user.is_none() {
            return Err(Invalid::new(
                "clientCredentialsFlowUser",
                "name the user to run as",
            ));
        }
        if self.is_client_credentials_flow_enabled && self.is_consumer_secret_optional {
            let reason = "a client without a secret cannot use the client credentials flow";
            return Err(Invalid::new("isConsumerSecretOptional", reason));
        }
        self.validate_guests()?;
        if self.is_consumer_secret_optional && !self.is_pkce_required {
            let reason = "a client without a secret must use PKCE";
            return Err(Invalid::new("isPkceRequired", reason));
        }
        self.validate_first_party()?;
        check_range(
            "authorizationCodeLifetimeSeconds",
            self.authorization_code_lifetime_seconds,
            1,
            600,
        )?;
        check_range(
            "accessTokenLifetimeSeconds",
            self.access_token_lifetime(self.access_token_format),
            60,
            86_400,
        )?;
        check_range(
            "idTokenLifetimeSeconds",
            self.id_token_lifetime_seconds,
            60,
            43_200,
        )?;
        check_range(
            "refreshTokenValidityPeriod",
            self.refresh_token_validity_period,
            1,
            1_000,
        )
    }
}

impl Policies {
    /// A guest has not logged in: there is no login to report or to prolong, and no data of a user or of a service to
    /// reach.
    fn validate_guests(&self) -> Result<(), Invalid> {
        let wrong = |reason: String| Err(Invalid::new("guestScopes", reason));
        let outside = |scope: &&str| !self.scopes.contains(scope);
        if let Some(scope) = self.guest_scopes.iter().find(outside) {
            return wrong(format!("{scope:?} is not among the scopes"));
        }
        let forbidden = |scope: &&str| NEVER_A_GUESTS.contains(scope);
        if let Some(scope) = self.guest_scopes.iter().find(forbidden) {
            return wrong(format!("{scope:?} is nothing for a guest"));
        }
        if !self.is_guest_flow_enabled {
            return Ok(());
        }
        if self.guest_scopes.is_empty() {
            return wrong(String::from("select at least one, such as api"));
        }
        if !self.is_code_cred_flow_enabled {
            let reason = "the guest flow is a code and credentials flow";
            return Err(Invalid::new("isCodeCredFlowEnabled", reason));
        }
        Ok(())
    }

    /// Certificates that can be used, and PKCE for an app whose codes come without a redirect. The expiry of a
    /// certificate is checked when it is registered and when it is used.
    fn validate_first_party(&self) -> Result<(), Invalid> {
        const KEY: &str = "clientAssertionCertificate";
        if self.client_assertion_certificate.len() > CERTIFICATES_MAX {
            return Err(Invalid::new(KEY, format!("at most {CERTIFICATES_MAX}")));
        }
        for pem in &self.client_assertion_certificate {
            Certificate::parse(pem).map_err(|reason| Invalid::new(KEY, reason))?;
        }
        if self.is_first_party_app_enabled && !self.is_pkce_required {
            let reason = "a first-party app must use PKCE";
            return Err(Invalid::new("isPkceRequired", reason));
        }
        Ok(())
    }
}

/// The scopes that no guest gets.
const NEVER_A_GUESTS: [&str; 8] = [
    "forgot_password",
    "full",
    "offline_access",
    "openid",
    "pwdless_login_api",
    "refresh_token",
    "user_registration_api",
    "web",
];

/// Certificates of one app: one that is used, one that replaces it, and as many to spare.
pub const CERTIFICATES_MAX: usize = 4;

fn write_scopes<S: Serializer>(scopes: &ScopeSet, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(scopes)
}

fn read_scopes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ScopeSet, D::Error> {
    let text = words_or_list::<String, _>(deserializer)?.join(" ");
    ScopeSet::parse(&text).map_err(|_| serde::de::Error::custom("a scope is not well formed"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_wrong_policy_is_named_and_nothing_is_changed() {
        let good = Policies::default()
            .updated(&map(
                json!({"scopes": "openid api", "callbackUrl": "https://a.example/cb"}),
            ))
            .unwrap();
        for (change, key) in [
            (json!({"noSuchPolicy": true}), "noSuchPolicy"),
            (json!({"isPkceRequired": "maybe"}), "isPkceRequired"),
            (json!({"scopes": "openid everything"}), "scopes"),
            (json!({"scopes": ""}), "scopes"),
            (
                json!({"refreshTokenPolicyType": "Never"}),
                "refreshTokenPolicyType",
            ),
            (
                json!({"refreshTokenValidityPeriod": 0}),
                "refreshTokenValidityPeriod",
            ),
            (
                json!({"refreshTokenValidityUnit": "Weeks"}),
                "refreshTokenValidityUnit",
            ),
            (json!({"callbackUrl": "javascript:alert(1)"}), "callbackUrl"),
            (
                json!({"isClientCredentialsFlowEnabled": true}),
                "clientCredentialsFlowUser",
            ),
            (
                json!({"isConsumerSecretOptional": true, "isPkceRequired": false}),
                "isPkceRequired",
            ),
            (
                json!({"authorizationCodeLifetimeSeconds": 601}),
                "authorizationCodeLifetimeSeconds",
            ),
            (json!({"idTokenSigningAlg": "none"}), "idTokenSigningAlg"),
            (
                json!({"clientAssertionCertificate": "hello"}),
                "clientAssertionCertificate",
            ),
            (
                json!({"clientAssertionCertificate": [7]}),
                "clientAssertionCertificate",
            ),
            (
                json!({"isFirstPartyAppEnabled": true, "isPkceRequired": false}),
                "isPkceRequired",
            ),
        ] {
            assert_eq!(good.updated(&map(change)).unwrap_err().key, key);
        }
    }

    #[test]
    fn a_guest_gets_some_of_the_scopes_and_none_of_a_users() {
        let good = Policies::default()
            .updated(&map(json!({
                "scopes": "openid api id refresh_token web full forgot_password",
                "callbackUrl": "https://a.example/cb", "isCodeCredFlowEnabled": true,
                "isGuestFlowEnabled": true, "guestScopes": "api id",
            })))
            .unwrap();
        for scope in NEVER_A_GUESTS.iter().chain(&["profile", "nonsense"]) {
            let refused = good.updated(&map(json!({"guestScopes": format!("api {scope}")})));
            assert_eq!(refused.unwrap_err().key, "guestScopes", "{scope}");
        }
        for (change, key) in [
            (json!({"guestScopes": ""}), "guestScopes"),
            (json!({"scopes": "openid id"}), "guestScopes"),
            (
                json!({"isCodeCredFlowEnabled": false}),
                "isCodeCredFlowEnabled",
            ),
        ] {
            assert_eq!(good.updated(&map(change)).unwrap_err().key, key);
        }
        assert!(
            good.updated(&map(
                json!({"isGuestFlowEnabled": false, "guestScopes": ""})
            ))
            .is_ok()
        );
    }

    #[test]
    fn a_client_rotates_where_its_policy_says_so_and_without_a_secret_needs_none() {
        let mut policies = Policies::default();
        assert!(policies.needs_secret_to_refresh() && !policies.rotates_refresh_tokens());
        policies.is_consumer_secret_optional = true;
        assert!(!policies.needs_secret_to_refresh() && !policies.rotates_refresh_tokens());
        policies.is_secret_required_for_refresh_token = Some(true);
        policies.is_refresh_token_rotation_enabled = Some(true);
        assert!(policies.needs_secret_to_refresh() && policies.rotates_refresh_tokens());
    }

    #[test]
    fn the_refresh_token_policy_says_when_a_login_ends() {
        const HOUR: i64 = 3_600_000;
        let at = Moment::from_millis;
        for (policy, period, unit, end) in [
            ("Infinite", 1, "Hours", None),
            ("Zero", 1, "Hours", Some(0)),
            ("SpecificLifetime", 2, "Hours", Some(2 * HOUR)),
            ("SpecificLifetime", 2, "Days", Some(48 * HOUR)),
            ("SpecificInactivity", 2, "Hours", Some(7 * HOUR)),
            ("SpecificInactivity", 1, "Months", Some((5 + 720) * HOUR)),
        ] {
            let changes = map(json!({
                "scopes": "openid refresh_token", "refreshTokenPolicyType": policy,
                "refreshTokenValidityPeriod": period, "refreshTokenValidityUnit": unit,
            }));
            let policies = Policies::default().updated(&changes).unwrap();
            let ends = policies.refresh_tokens_end_at(at(0), at(5 * HOUR));
            assert_eq!(ends, end.map(at), "{policy} {period} {unit}");
            let granted = policies.scopes.clone();
            assert_eq!(policies.issues_refresh_tokens(&granted), policy != "Zero");
            assert!(!policies.issues_refresh_tokens(&granted.without("offline_access")));
        }
    }

    #[test]
    fn jwt_access_tokens_live_shorter_by_default() {
        let mut policies = Policies::default();
        let lifetimes = |policies: &Policies| {
            [AccessTokenFormat::Opaque, AccessTokenFormat::Jwt]
                .map(|format| policies.access_token_lifetime(format))
        };
        assert_eq!(lifetimes(&policies), [7_200, 1_800]);
        policies.access_token_lifetime_seconds = Some(60);
        assert_eq!(lifetimes(&policies), [60, 60]);
    }
}
