//! Refresh tokens: their form, and the treatment of one that was replaced.
//!
//! A refresh token is `5Aep861`, the name of its family and a secret, both in base62. All tokens that descend from
//! one authorization code are a family, and its name is the hash of that code, so that a replayed code and a
//! replayed refresh token end the same family. The name finds the family without an index; the hash of the whole
//! text authenticates the token.
//!
//! A client that lost a response may ask again with the token that it still has (RFC 9700 section 4.14.2 leaves
//! that open), and must then get the same successor, or the family would have two branches. The successor is
//! therefore not random: it is computed from the text of its predecessor, a salt and a key of the installation. The
//! database stores the salt. Neither the database alone nor the database together with the master key reveals a
//! token: the predecessor is needed too, and only the client has it.

use vestibule_protocol::secret::Secret;

use super::opaque::Minted;
use crate::moment::{BASE62, Entropy, Moment};
use crate::sealing::Keyring;

/// How long the client may present the token that was just replaced once more, in seconds.
pub const RETRY_SECONDS: i64 = 10;

/// The salt of a successor: 128 bits.
pub type Salt = [u8; 16];

/// The prefix of every refresh token.
const PREFIX: &str = "5Aep861";

/// 256 bits in base62.
const PART_CHARACTERS: usize = 43;

/// The first refresh token of a family.
pub fn mint_refresh_token(family: &[u8; 32], entropy: &Entropy) -> Minted {
    assemble(family, &entropy.bytes())
}

/// The successor of a token. The same three values give the same token.
pub fn succeed_refresh_token(
    predecessor: &Secret,
    family: &[u8; 32],
    salt: &Salt,
    keyring: &Keyring,
) -> Minted {
    assemble(family, &keyring.refresh_token_successor(salt, predecessor))
}

/// The family that a refresh token names, or `None` when the text is not a refresh token of this server. The token
/// is not yet verified by that.
pub fn family_of(refresh_token: &str) -> Option<[u8; 32]> {
    let parts = refresh_token.strip_prefix(PREFIX)?;
    let (family, secret) = parts.split_at_checked(PART_CHARACTERS)?;
    let is_whole = secret.len() == PART_CHARACTERS && value(secret).is_some();
    value(family).filter(|_| is_whole)
}

/// The state of a family, by which a refresh token is judged.
#[derive(Clone, Debug)]
pub struct FamilyState {
    /// SHA-256 of the current token.
    pub token_hash: [u8; 32],
    /// The token before it, and the salt of its successor; `None` when no token was replaced.
    pub replaced: Option<Replaced>,
    /// When the family expires by policy.
    pub expires_at: Option<Moment>,
    /// When it was ended.
    pub ended_at: Option<Moment>,
}

/// The predecessor of the current token.
#[derive(Clone, Debug)]
pub struct Replaced {
    /// Its SHA-256.
    pub token_hash: [u8; 32],
    /// The salt from which its successor was computed.
    pub salt: Salt,
    /// When it was replaced.
    pub at: Moment,
}

/// The relation of a presented refresh token to its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The current token.
    Current,
    /// The family has ended.
    Ended,
    /// The token that was just replaced: its client may have lost the response and gets the same successor again.
    JustReplaced(Salt),
    /// Any other token with the name of the family: one replaced long ago, or a forged one. Two parties have tokens
    /// of this family, and the server cannot know which one is the thief.
    Reused,
}

impl FamilyState {
    /// Judges a token with this hash at an instant.
    ///
    /// Source: RFC 6749 section 10.4; RFC 9700 section 4.14.2; Refresh Token Rotation.
    pub fn standing(&self, presented: &[u8; 32], at: Moment) -> Standing {
        let has_expired = self.expires_at.is_some_and(|end| end <= at);
        if self.ended_at.is_some() || has_expired {
            return Standing::Ended;
        }
        if self.token_hash == *presented {
            return Standing::Current;
        }
        match &self.replaced {
            Some(replaced)
                if replaced.token_hash == *presented
                    && at < replaced.at.plus_seconds(RETRY_SECONDS) =>
            {
                Standing::JustReplaced(replaced.salt)
            }
            _ => Standing::Reused,
        }
    }
}

fn assemble(family: &[u8; 32], secret: &[u8; 32]) -> Minted {
    let mut text = String::with_capacity(PREFIX.len() + 2 * PART_CHARACTERS);
    text.push_str(PREFIX);
    push_base62(&mut text, family);
    push_base62(&mut text, secret);
    Minted::new(text)
}

/// Appends 256 bits as a number in base62, always with 43 digits.
fn push_base62(text: &mut String, bytes: &[u8; 32]) {
    let mut limbs = limbs(bytes);
    let mut digits = [b'0'; PART_CHARACTERS];
    for digit in digits.iter_mut().rev() {
        let mut rest = 0;
        for limb in &mut limbs {
            let whole = (rest << 64) | u128::from(*limb);
            *limb = (whole / 62) as u64;
            rest = whole % 62;
        }
        *digit = BASE62[rest as usize];
    }
    text.extend(digits.iter().map(|digit| char::from(*digit)));
}

/// Parses the result of [`push_base62`]; `None` for other characters and for numbers beyond 256 bits.
fn value(text: &str) -> Option<[u8; 32]> {
    let mut limbs = [0_u64; 4];
    for digit in text.bytes() {
        let mut carry = BASE62.iter().position(|known| *known == digit)? as u128;
        for limb in limbs.iter_mut().rev() {
            let whole = u128::from(*limb) * 62 + carry;
            *limb = whole as u64;
            carry = whole >> 64;
        }
        if carry != 0 {
            return None;
        }
    }
    let mut bytes = [0; 32];
    for (part, limb) in bytes.chunks_exact_mut(8).zip(limbs) {
        part.copy_from_slice(&limb.to_be_bytes());
    }
    Some(bytes)
}

fn limbs(bytes: &[u8; 32]) -> [u64; 4] {
    let mut limbs = [0; 4];
    for (limb, part) in limbs.iter_mut().zip(bytes.chunks_exact(8)) {
        *limb = part
            .iter()
            .fold(0, |value, byte| (value << 8) | u64::from(*byte));
    }
    limbs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealing::sha256;

    const AT: Moment = Moment::from_millis(1_000_000);

    #[test]
    fn a_refresh_token_names_its_family_and_nothing_else_does() {
        let entropy = Entropy::seeded(7);
        for family in [[0; 32], [255; 32], sha256(b"code"), entropy.bytes()] {
            let token = mint_refresh_token(&family, &entropy);
            let text = token.text.expose();
            assert!(text.starts_with("5Aep861"), "{text}");
            assert_eq!(text.len(), 93);
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            assert_eq!(family_of(text), Some(family));
            assert_eq!(token.hash, sha256(text.as_bytes()));
            for other in [
                &text[1..],
                &text[..92],
                &format!("{text}0"),
                "5Aep861",
                "",
                "aPrx",
            ] {
                assert_eq!(family_of(other), None, "{other}");
            }
            assert_eq!(family_of(&text.replacen("5Aep861", "5Aep862", 1)), None);
            assert_eq!(family_of(&format!("{}-", &text[..92])), None);
        }
        // 62 to the 43rd is a little more than 2 to the 256th.
        let beyond = format!("5Aep861{}{}", "z".repeat(43), "0".repeat(43));
        assert_eq!(family_of(&beyond), None);
    }

    #[test]
    fn a_successor_is_found_again_by_predecessor_salt_and_key_only() {
        let family = sha256(b"code");
        let first = mint_refresh_token(&family, &Entropy::seeded(1)).text;
        let other = mint_refresh_token(&family, &Entropy::seeded(2)).text;
        let (ring, other_ring) = (Keyring::new(&[1; 32]), Keyring::new(&[2; 32]));
        let found = |token: &Secret, salt: u8, ring: &Keyring| {
            succeed_refresh_token(token, &family, &[salt; 16], ring).hash
        };
        let successor = found(&first, 1, &ring);
        assert_eq!(successor, found(&first, 1, &ring));
        assert_ne!(successor, found(&other, 1, &ring));
        assert_ne!(successor, found(&first, 2, &ring));
        assert_ne!(successor, found(&first, 1, &other_ring));
        let text = succeed_refresh_token(&first, &family, &[1; 16], &ring).text;
        assert_eq!(family_of(text.expose()), Some(family));
    }

    #[test]
    fn rt_11_the_token_just_replaced_is_accepted_for_ten_seconds_and_older_ones_never() {
        let state = FamilyState {
            token_hash: [3; 32],
            replaced: Some(Replaced {
                token_hash: [2; 32],
                salt: [9; 16],
                at: AT,
            }),
            expires_at: None,
            ended_at: None,
        };
        let standing = |hash: u8, millis: i64| {
            state.standing(&[hash; 32], Moment::from_millis(AT.millis() + millis))
        };
        assert_eq!(standing(3, 0), Standing::Current);
        assert_eq!(standing(3, 1_000_000), Standing::Current);
        assert_eq!(standing(2, 0), Standing::JustReplaced([9; 16]));
        assert_eq!(standing(2, 9_999), Standing::JustReplaced([9; 16]));
        assert_eq!(standing(2, 10_000), Standing::Reused);
        assert_eq!(standing(1, 0), Standing::Reused);
        let never_replaced = FamilyState {
            replaced: None,
            ..state
        };
        assert_eq!(never_replaced.standing(&[2; 32], AT), Standing::Reused);
    }

    #[test]
    fn rt_08_an_ended_family_ends_all_its_tokens() {
        let state = FamilyState {
            token_hash: [3; 32],
            replaced: None,
            expires_at: Some(AT),
            ended_at: None,
        };
        let before = Moment::from_millis(AT.millis() - 1);
        assert_eq!(state.standing(&[3; 32], before), Standing::Current);
        assert_eq!(state.standing(&[3; 32], AT), Standing::Ended);
        assert_eq!(state.standing(&[1; 32], AT), Standing::Ended);
        let ended = FamilyState {
            expires_at: None,
            ended_at: Some(AT),
            ..state
        };
        assert_eq!(ended.standing(&[3; 32], before), Standing::Ended);
    }
}
