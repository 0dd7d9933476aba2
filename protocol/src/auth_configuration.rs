//! `/.well-known/auth-configuration`: the document that the mobile SDKs read before they show a login.
//!
//! This file owns the members of the document. The SDKs read from it whether to open the phone's browser instead of
//! a web view, and which brand the login page has. A headless site has no login page, so every member has its
//! default. Source: Mobile SDK, `AuthConfigUtil`.

use serde::Serialize;

/// The document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AuthConfiguration {
    org_id: String,
    #[serde(rename = "MobileSDK")]
    mobile_sdk: MobileSdk,
    login_page: Empty,
    saml_providers: [Empty; 0],
    auth_providers: [Empty; 0],
    auth_protocol_config: [Empty; 0],
    url: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct MobileSdk {
    #[serde(rename = "UseAndroidNativeBrowserForAuthentication")]
    use_android_native_browser: bool,
    #[serde(rename = "UseiOSNativeBrowserForAuthentication")]
    use_ios_native_browser: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Empty {}

impl AuthConfiguration {
    /// The document of the site at `base_url` (without a trailing slash).
    pub fn new(org_id: &str, base_url: &str) -> AuthConfiguration {
        AuthConfiguration {
            org_id: org_id.to_owned(),
            mobile_sdk: MobileSdk {
                use_android_native_browser: false,
                use_ios_native_browser: false,
            },
            login_page: Empty {},
            saml_providers: [],
            auth_providers: [],
            auth_protocol_config: [],
            url: base_url.to_owned(),
        }
    }

    /// The document as JSON on one line.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a structure of texts is always JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_members_are_those_that_the_sdks_look_for() {
        let document = AuthConfiguration::new("00D000000000001EAA", "https://s.example").to_json();
        assert_eq!(
            document,
            concat!(
                r#"{"OrgId":"00D000000000001EAA","MobileSDK":{"UseAndroidNativeBrowserForAuthentication":false,"#,
                r#""UseiOSNativeBrowserForAuthentication":false},"LoginPage":{},"SamlProviders":[],"#,
                r#""AuthProviders":[],"AuthProtocolConfig":[],"Url":"https://s.example"}"#
            )
        );
    }
}
