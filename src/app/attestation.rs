//! Authentication of a client by a key: assertions and attestations are checked by the rules of `client`, and a proof
//! that may be used once is spent.

use super::{App, Visit};
use crate::client::{Attested, AttestingSite, Client, OneUse, PresentedAttestation};
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
        client.check_assertion(assertion, audiences, visit.at)
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
        client.check_attestation(presented, &site, visit.at)
    }

    /// Spends a proof that may be used once.
    ///
    /// # Refusals
    /// [`OneUse::replayed`] for one that was used before, here or on another node (threat ATT-05).
    pub async fn spend_proof(&self, one_use: OneUse) -> Result<(), Failure> {
        let replayed = one_use.replayed.clone();
        let is_first = self
            .store
            .write("proof.spend", one_use, |tx, one_use| {
                Box::pin(store::proof::spend(tx, one_use))
            })
            .await?;
        if is_first {
            Ok(())
        } else {
            Err(replayed.into())
        }
    }

    /// A fresh challenge for a proof of possession at a site.
    pub fn attestation_challenge(&self, visit: &Visit) -> String {
        let site_id = &visit.site.site.id;
        self.keyring
            .attestation_challenge(site_id, visit.at, &self.entropy)
    }
}
