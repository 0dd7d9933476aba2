//! Authentication of a client by a key: assertions and attestations are checked by the rules of `client`, a failure
//! is logged with its reason, and a proof that may be used once is spent.

use super::{App, Visit};
use crate::client::{Attested, AttestingSite, Client, OneUse, PresentedAttestation, Unproven};
use crate::refusal::{Failure, Refusal};
use crate::store;
use vestibule_protocol::secret::Secret;

impl App {
    /// Checks a client assertion for one of `audiences`. Nothing is spent yet.
    ///
    /// # Refusals
    /// `ClientAssertionInvalid`.
    pub fn check_assertion(
        &self,
        visit: &Visit,
        client: &Client,
        assertion: &Secret,
        audiences: &[&str],
    ) -> Result<Option<OneUse>, Refusal> {
        client
            .check_assertion(assertion, audiences, visit.at)
            .map_err(|unproven| refused(visit, unproven))
    }

    /// Checks a client attestation with its proof of possession. Nothing is spent yet.
    ///
    /// # Refusals
    /// `ClientAttestationInvalid`, `AttestationExpired`, `AttestationChallengeMissing`.
    pub fn check_attestation(
        &self,
        visit: &Visit,
        client: &Client,
        presented: &PresentedAttestation,
    ) -> Result<Attested, Refusal> {
        let site = &visit.site.site;
        let site = AttestingSite {
            id: &site.id,
            base_url: &site.base_url,
            keyring: &self.keyring,
        };
        client
            .check_attestation(presented, &site, visit.at)
            .map_err(|unproven| refused(visit, unproven))
    }

    /// Spends a proof that may be used once.
    ///
    /// # Refusals
    /// `replayed` for one that was used before, here or on another node (threat ATT-05).
    pub async fn spend_proof(
        &self,
        visit: &Visit,
        one_use: OneUse,
        replayed: Refusal,
    ) -> Result<(), Failure> {
        let is_first = self
            .store
            .write("proof.spend", one_use, |tx, one_use| {
                Box::pin(store::proof::spend(tx, one_use))
            })
            .await?;
        if !is_first {
            log_refused(visit, &replayed, "used before");
            return Err(replayed.into());
        }
        Ok(())
    }

    /// A fresh challenge for a proof of possession at a site.
    pub fn attestation_challenge(&self, visit: &Visit) -> String {
        let site_id = &visit.site.site.id;
        self.keyring
            .attestation_challenge(site_id, visit.at, &self.entropy)
    }
}

fn refused(visit: &Visit, unproven: Unproven) -> Refusal {
    log_refused(visit, &unproven.refusal, &unproven.reason);
    unproven.refusal
}

/// The developer of the app needs the reason, down to the claim. The answer has none, because it may go to an
/// unauthenticated caller.
fn log_refused(visit: &Visit, refusal: &Refusal, reason: &str) {
    tracing::info!(
        request = %visit.request_id, endpoint = visit.endpoint, site = visit.site.site.id,
        client = visit.client_id(), refusal = refusal.name(), reason,
        "a credential was refused"
    );
}
