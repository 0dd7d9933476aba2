//! What a client shows of itself with a key: asked of the rules, told to the operator when it does not
//! hold, and spent where it holds once.

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
            .map_err(|unproven| tell(visit, client, unproven))
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
            .map_err(|unproven| tell(visit, client, unproven))
    }

    /// Spends a proof that holds once.
    ///
    /// # Refusals
    /// `replayed` for one that was used before, here or on another node (threat ATT-05).
    pub async fn spend_proof(&self, one_use: OneUse, replayed: Refusal) -> Result<(), Failure> {
        let is_first = self
            .store
            .write("proof.spend", one_use, |tx, one_use| {
                Box::pin(store::proof::spend(tx, one_use))
            })
            .await?;
        match is_first {
            true => Ok(()),
            false => Err(replayed.into()),
        }
    }

    /// A fresh challenge for a proof of possession at a site.
    pub fn attestation_challenge(&self, visit: &Visit) -> String {
        let site_id = &visit.site.site.id;
        self.keyring
            .attestation_challenge(site_id, visit.at, &self.entropy)
    }
}

/// Whoever builds the app needs the reason; the answer has none, for it may be a stranger's.
fn tell(visit: &Visit, client: &Client, unproven: Unproven) -> Refusal {
    tracing::info!(
        request = %visit.request_id, client = client.name, reason = unproven.reason,
        "a client did not prove itself"
    );
    unproven.refusal
}
