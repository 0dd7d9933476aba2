//! The handlers and templates that settings name, the checks that they exist, and the template that a request may name.
//!
//! Whether a handler or a template of a name exists is an argument.

use vestibule_protocol::purpose::Purpose;

use super::{Choice, Settings};
use crate::changes::Invalid;
use crate::contract::Contract;
use crate::refusal::Refusal;

impl Settings {
    /// The name of the custom handler that sends one-time passwords by text message; none where the
    /// server's gateway does.
    pub fn delivery_handler(&self) -> Option<&str> {
        self.custom_otp_delivery_handler_id.as_ref()?.name()
    }

    /// The handlers that settings name, with the setting and the contract that it needs; the built-in
    /// ones aside.
    pub fn named_handlers(&self) -> Vec<(&'static str, Contract, &str)> {
        let settings = [
            (
                "registrationHandler",
                Contract::CreateUser,
                Some(&self.registration_handler),
            ),
            (
                "headlessDiscoveryHandler",
                Contract::DiscoverUser,
                self.headless_discovery_handler.as_ref(),
            ),
            (
                "customOtpDeliveryHandlerId",
                Contract::SendOneTimePassword,
                self.custom_otp_delivery_handler_id.as_ref(),
            ),
        ];
        let named = settings
            .into_iter()
            .filter_map(|(setting, contract, choice)| Some((setting, contract, choice?.name()?)));
        named.collect()
    }

    /// Checks that every handler that is named exists, and is of the contract that its setting needs.
    ///
    /// # Errors
    /// The first setting that names one that is not, or is another contract's.
    pub fn check_handlers(
        &self,
        contract_of: impl Fn(&str) -> Option<Contract>,
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

    /// Every template that the settings name, with the setting that names it.
    pub fn named_templates(&self) -> Vec<(&'static str, &str)> {
        let allowed = self.email_tmpls_allowlist.iter().map(String::as_str);
        let mut named: Vec<_> = allowed.map(|name| ("emailTmplsAllowlist", name)).collect();
        for flow in Purpose::ALL {
            let names = self.email_template(flow).names();
            named.extend(
                names
                    .into_iter()
                    .map(|name| (flow.template_setting(), name)),
            );
        }
        named
    }

    /// Checks that every template that is named exists. Any template serves any flow with a one-time password: all of
    /// them are filled with the same values.
    ///
    /// # Errors
    /// The first setting that names one that does not exist.
    pub fn check_templates(&self, is_custom: impl Fn(&str) -> bool) -> Result<(), Invalid> {
        for (setting, name) in self.named_templates() {
            if Purpose::of_built_in_template(name).is_none() && !is_custom(name) {
                let reason = format!("there is no template {name:?}");
                return Err(Invalid::new(setting, reason));
            }
        }
        Ok(())
    }
}

/// Chooses the template of a request. `is_custom` says whether there is a custom template with a name. A template serves
/// every flow with a one-time password, and the allowlist is shared by them.
///
/// # Refusals
/// `TemplateNotAllowed`, `TemplateUnknown`.
///
/// Source: Use Multiple Email Templates for Headless Flows; Headless Forgot Password API.
pub fn choose(
    settings: &Settings,
    flow: Purpose,
    named: Option<&str>,
    is_custom: impl Fn(&str) -> bool,
) -> Result<Choice, Refusal> {
    let Some(named) = named else {
        return Ok(Choice::SiteDefault(settings.email_template(flow).clone()));
    };
    let is_restricted = settings.is_template_restricted(flow);
    // Without an allowlist, registration and login take no name at all; the reset takes any.
    if !is_restricted && flow != Purpose::ForgotPassword {
        return Err(Refusal::TemplateNotAllowed);
    }
    let built_in = Purpose::of_built_in_template(named);
    if built_in.is_none() && !is_custom(named) {
        return Err(Refusal::TemplateUnknown);
    }
    // The documented name of a built-in template and ours are the same template.
    let is_listed = settings.email_tmpls_allowlist.iter().any(|listed| {
        listed == named || built_in.is_some() && Purpose::of_built_in_template(listed) == built_in
    });
    if is_restricted && !is_listed {
        return Err(Refusal::TemplateNotAllowed);
    }
    Ok(Choice::Named(named.to_owned()))
}
