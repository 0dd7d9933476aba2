//! The text of the built-in mails, sentence by sentence, in each language.
//!
//! This file owns wording only. The sentences are inserted into the layouts beside this file before these are
//! compiled, so a sentence may use the values of the context (`{{ site_name }}`, `{{ first_name }}`, `{{ valid_for
//! }}`) and `{% if %}`. No subject contains the code: relays write subjects into their logs.
//!
//! A new language is one more constant here and one more arm in `Language`.

/// The sentences of one mail.
pub(super) struct Words {
    pub(super) subject: &'static str,
    /// The line that a mail program shows after the subject.
    pub(super) preheader: &'static str,
    pub(super) heading: &'static str,
    pub(super) intro: &'static str,
    /// The lifetime of the code; `None` when the mail has no code.
    pub(super) validity: Option<&'static str>,
    /// What to do if the mail was not expected.
    pub(super) closing: &'static str,
    /// The text message for the same purpose; `None` when there is only the mail.
    pub(super) sms: Option<&'static str>,
}

/// All sentences of one language.
pub(super) struct Vocabulary {
    pub(super) tag: &'static str,
    pub(super) greeting: &'static str,
    pub(super) account_exists: Words,
    pub(super) login_otp: Words,
    pub(super) password_changed: Words,
    pub(super) password_reset_otp: Words,
    pub(super) registration_otp: Words,
    pub(super) minute: [&'static str; 2],
    pub(super) hour: [&'static str; 2],
}

pub(super) const ENGLISH: Vocabulary = Vocabulary {
    tag: "en",
    greeting: "Hello{% if first_name %} {{ first_name }}{% endif %},",
    account_exists: Words {
        subject: "You already have an account with {{ site_name }}",
        preheader: "Someone tried to register with this e-mail address.",
        heading: "You already have an account",
        intro: "Someone, probably you, just tried to register at {{ site_name }} with this e-mail address. \
                It belongs to an account already, so no new one was made. Please log in instead, or reset your \
                password if you have forgotten it.",
        validity: None,
        closing: "If it was not you, there is nothing you need to do. Your account is unchanged.",
        sms: None,
    },
    login_otp: Words {
        subject: "Your login code for {{ site_name }}",
        preheader: "Enter the code in this mail to log in.",
        heading: "Your login code",
        intro: "Enter this code to log in to {{ site_name }}.",
        validity: Some("The code is valid for {{ valid_for }} and works once."),
        closing: "Nobody from {{ site_name }} will ever ask you for this code. If you did not try to log in, you can \
                  ignore this mail.",
        sms: Some(
            "{{ code }} is your {{ site_name }} login code. It is valid for {{ valid_for }}.",
        ),
    },
    password_changed: Words {
        subject: "Your password at {{ site_name }} was changed",
        preheader: "If it was you, there is nothing to do.",
        heading: "Your password was changed",
        intro: "The password of your account with {{ site_name }} has just been changed. All devices that were logged in \
                were logged out.",
        validity: None,
        closing: "If it was not you, choose a new password at {{ site_name }} at once, and make sure that nobody else can \
                  read your mail.",
        sms: None,
    },
    password_reset_otp: Words {
        subject: "Your code to reset your password at {{ site_name }}",
        preheader: "Enter the code in this mail to choose a new password.",
        heading: "Reset your password",
        intro: "Enter this code to choose a new password for your account with {{ site_name }}.",
        validity: Some("The code is valid for {{ valid_for }} and works once."),
        closing: "Nobody from {{ site_name }} will ever ask you for this code. If you did not ask for a new password, \
                  you can ignore this mail: your password stays as it is.",
        sms: Some(
            "{{ code }} is your code to reset your password at {{ site_name }}. It is valid for {{ valid_for }}.",
        ),
    },
    registration_otp: Words {
        subject: "Your verification code for {{ site_name }}",
        preheader: "Enter the code in this mail to finish your registration.",
        heading: "Confirm your e-mail address",
        intro: "Enter this code to finish your registration at {{ site_name }}.",
        validity: Some("The code is valid for {{ valid_for }} and works once."),
        closing: "Nobody from {{ site_name }} will ever ask you for this code. If you did not register, you can \
                  ignore this mail: no account is made without the code.",
        sms: Some(
            "{{ code }} is your {{ site_name }} verification code. It is valid for {{ valid_for }}.",
        ),
    },
    minute: ["minute", "minutes"],
    hour: ["hour", "hours"],
};

pub(super) const GERMAN: Vocabulary = Vocabulary {
    tag: "de",
    greeting: "Guten Tag{% if first_name %} {{ first_name }}{% endif %},",
    account_exists: Words {
        subject: "Sie haben bereits ein Konto bei {{ site_name }}",
        preheader: "Jemand wollte sich mit dieser E-Mail-Adresse registrieren.",
        heading: "Sie haben bereits ein Konto",
        intro: "Jemand, vermutlich Sie selbst, wollte sich gerade bei {{ site_name }} mit dieser E-Mail-Adresse \
                registrieren. Zu ihr gehört schon ein Konto, deshalb wurde kein neues angelegt. Bitte melden Sie \
                sich an, oder setzen Sie Ihr Passwort zurück, falls Sie es vergessen haben.",
        validity: None,
        closing: "Wenn Sie das nicht waren, brauchen Sie nichts zu tun. An Ihrem Konto hat sich nichts geändert.",
        sms: None,
    },
    login_otp: Words {
        subject: "Ihr Anmeldecode für {{ site_name }}",
        preheader: "Mit dem Code in dieser Nachricht melden Sie sich an.",
        heading: "Ihr Anmeldecode",
        intro: "Geben Sie diesen Code ein, um sich bei {{ site_name }} anzumelden.",
        validity: Some("Der Code ist {{ valid_for }} lang gültig und funktioniert einmal."),
        closing: "Niemand von {{ site_name }} wird Sie je nach diesem Code fragen. Wenn Sie sich nicht anmelden \
                  wollten, können Sie diese Nachricht ignorieren.",
        sms: Some(
            "{{ code }} ist Ihr Anmeldecode für {{ site_name }}. Er ist {{ valid_for }} lang gültig.",
        ),
    },
    password_changed: Words {
        subject: "Ihr Passwort bei {{ site_name }} wurde geändert",
        preheader: "Wenn Sie das waren, ist nichts weiter zu tun.",
        heading: "Ihr Passwort wurde geändert",
        intro: "Das Passwort Ihres Kontos bei {{ site_name }} wurde gerade geändert. Alle Geräte, die angemeldet waren, \
                wurden abgemeldet.",
        validity: None,
        closing: "Wenn Sie das nicht waren, wählen Sie bei {{ site_name }} sofort ein neues Passwort, und sorgen Sie dafür, \
                  dass niemand sonst Ihre E-Mails lesen kann.",
        sms: None,
    },
    password_reset_otp: Words {
        subject: "Ihr Code zum Zurücksetzen des Passworts bei {{ site_name }}",
        preheader: "Mit dem Code in dieser Nachricht wählen Sie ein neues Passwort.",
        heading: "Passwort zurücksetzen",
        intro: "Geben Sie diesen Code ein, um ein neues Passwort für Ihr Konto bei {{ site_name }} zu wählen.",
        validity: Some("Der Code ist {{ valid_for }} lang gültig und funktioniert einmal."),
        closing: "Niemand von {{ site_name }} wird Sie je nach diesem Code fragen. Wenn Sie kein neues Passwort \
                  angefordert haben, können Sie diese Nachricht ignorieren: Ihr Passwort bleibt, wie es ist.",
        sms: Some(
            "{{ code }} ist Ihr Code für ein neues Passwort bei {{ site_name }}. Er ist {{ valid_for }} lang gültig.",
        ),
    },
    registration_otp: Words {
        subject: "Ihr Bestätigungscode für {{ site_name }}",
        preheader: "Mit dem Code in dieser Nachricht schließen Sie Ihre Registrierung ab.",
        heading: "E-Mail-Adresse bestätigen",
        intro: "Geben Sie diesen Code ein, um Ihre Registrierung bei {{ site_name }} abzuschließen.",
        validity: Some("Der Code ist {{ valid_for }} lang gültig und funktioniert einmal."),
        closing: "Niemand von {{ site_name }} wird Sie je nach diesem Code fragen. Wenn Sie sich nicht registriert \
                  haben, können Sie diese Nachricht ignorieren: Ohne den Code entsteht kein Konto.",
        sms: Some(
            "{{ code }} ist Ihr Bestätigungscode für {{ site_name }}. Er ist {{ valid_for }} lang gültig.",
        ),
    },
    minute: ["Minute", "Minuten"],
    hour: ["Stunde", "Stunden"],
};
