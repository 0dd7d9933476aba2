//! Passwords: the policy that applies to a user, and the hash of a new password.
//!
//! What a policy accepts is a rule of `identity`; how a password is hashed and compared belongs to `hashing`.

use vestibule_protocol::secret::Secret;

use super::App;
use crate::hashing::{QueueLine, SALT_BYTES};
use crate::identity::password::PasswordPolicy;
use crate::refusal::Refusal;

impl App {
    /// The policy of a profile; the default policy when there is no such profile.
    pub fn password_policy(&self, profile_id: &str) -> PasswordPolicy {
        let directory = self.directory();
        let profile = directory.profile(profile_id);
        profile.map_or_else(PasswordPolicy::default, |profile| {
            profile.password_policy.clone()
        })
    }

    /// Hashes a password with the present parameters and a new salt, and counts that.
    ///
    /// # Refusals
    /// `TooBusy`.
    pub async fn hash_password(
        &self,
        line: QueueLine,
        password: Secret,
    ) -> Result<String, Refusal> {
        let salt = self.entropy.bytes::<SALT_BYTES>();
        let hashed = self.hasher.hash(line, password, salt).await;
        self.count_hash(hashed.is_ok());
        hashed.map_err(|_| Refusal::TooBusy)
    }

    /// Counts a hash that was computed, or that the full queue refused.
    pub fn count_hash(&self, is_done: bool) {
        self.metrics
            .hash_done(if is_done { "done" } else { "busy" });
    }
}
