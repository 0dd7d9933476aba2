//! The handlers that a site's settings name.

use super::Settings;
use super::discovery::BUILT_IN;
use crate::changes::Invalid;

impl Settings {
    /// The name of the handler of the customer's own that sends one-time passwords by text message; none where the
    /// server's gateway does.
    pub fn delivery_handler(&self) -> Option<&str> {
        let name = self.custom_otp_delivery_handler_id.as_deref();
        name.filter(|name| *name != BUILT_IN)
    }

    /// The handlers that settings name, with the setting and the contract that it needs; the built-in
    /// ones aside.
    pub fn named_handlers(&self) -> Vec<(&'static str, &'static str, &str)> {
        let settings = [
            (
                "registrationHandler",
                "createUser",
                Some(&self.registration_handler),
            ),
            (
                "headlessDiscoveryHandler",
                "discoverUser",
                self.headless_discovery_handler.as_ref(),
            ),
            (
                "customOtpDeliveryHandlerId",
                "sendOneTimePassword",
                self.custom_otp_delivery_handler_id.as_ref(),
            ),
        ];
        let named = settings
            .into_iter()
            .filter_map(|(setting, contract, name)| {
                let name = name?.as_str();
                (name != BUILT_IN).then_some((setting, contract, name))
            });
        named.collect()
    }

    /// Checks that every handler that is named exists, and is of the contract that its setting needs.
    ///
    /// # Errors
    /// The first setting that names one that is not, or is another contract's.
    pub fn check_handlers(
        &self,
        contract_of: impl Fn(&str) -> Option<String>,
    ) -> Result<(), Invalid> {
        for (setting, needed, name) in self.named_handlers() {
            let reason = match contract_of(name) {
                None => format!("there is no handler {name:?}"),
                Some(contract) if contract != needed => {
                    format!("the handler {name:?} is one for {contract}, and not for {needed}")
                }
                Some(_) => continue,
            };
            return Err(Invalid::new(setting, reason));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_names_a_handler_of_its_contract_or_the_built_in_one() {
        let contract_of = |name: &str| match name {
            "welcome" => Some(String::from("createUser")),
            "orders" => Some(String::from("discoverUser")),
            _ => None,
        };
        let check = |registration: &str, discovery: Option<&str>| {
            let settings = Settings {
                registration_handler: registration.to_owned(),
                headless_discovery_handler: discovery.map(str::to_owned),
                ..Settings::default()
            };
            settings
                .check_handlers(contract_of)
                .map_err(|invalid| invalid.to_string())
        };
        assert_eq!(check("builtin", None), Ok(()));
        assert_eq!(check("welcome", Some("orders")), Ok(()));
        assert_eq!(check("builtin", Some("builtin")), Ok(()));
        for (registration, discovery, words) in [
            (
                "Welcome",
                None,
                "registrationHandler: there is no handler \"Welcome\"",
            ),
            (
                "orders",
                None,
                "is one for discoverUser, and not for createUser",
            ),
            ("builtin", Some("welcome"), "headlessDiscoveryHandler"),
        ] {
            let refused = check(registration, discovery).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
    }
}
