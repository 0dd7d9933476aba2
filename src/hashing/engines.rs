//! The two implementations of Argon2id (RFC 9106) behind one small function; tests verify that they are equal.

use super::TAG_BYTES;
use super::phc::Params;

/// Hashing failed; contains nothing about the password.
#[derive(Debug, thiserror::Error)]
#[error("argon2: {0}")]
pub(super) struct HashingFault(String);

/// The tag of a password, or why there is none.
type TagOutcome = Result<[u8; TAG_BYTES], HashingFault>;

/// The SIMD implementation: picks AVX-512, AVX2, SSE2 or NEON when the process starts.
#[cfg(any(test, not(feature = "portable-argon2")))]
pub(super) mod fast {
    use argon2_rust::params::{Memory, TagLen};
    use argon2_rust::{Algorithm, Argon2, Version};

    use super::{HashingFault, Params, TAG_BYTES, TagOutcome};

    /// The memory of one hashing thread, kept mapped between hashes and wiped after each.
    pub struct SimdArena(argon2_rust::Hasher);

    impl SimdArena {
        /// Maps the memory.
        pub fn reserve() -> SimdArena {
            let current = configured(&Params::CURRENT)
                .expect("the current parameters are within Argon2's limits");
            let mut hasher = current.hasher();
            if hasher.reserve().is_err() {
                tracing::warn!("no memory for a hashing arena yet; the first hash will ask again");
            }
            SimdArena(hasher)
        }
    }

    /// The tag of a password.
    pub fn tag(password: &[u8], salt: &[u8], params: &Params, arena: &mut SimdArena) -> TagOutcome {
        let hasher = &mut arena.0;
        hasher.set_argon2(configured(params)?);
        let mut tag = [0; TAG_BYTES];
        let outcome = hasher.hash_into(password, salt, &mut tag);
        if hasher.reserved_blocks() > Params::CURRENT.memory_kib as usize {
            // A single old hash with large parameters must not keep that memory for the life of the thread.
            hasher.clear();
        }
        outcome.map_err(|fault| HashingFault(fault.to_string()))?;
        Ok(tag)
    }

    fn configured(params: &Params) -> Result<Argon2, HashingFault> {
        let params = argon2_rust::Params::builder()
            .memory(Memory::kib(params.memory_kib.into()))
            .passes(params.passes)
            .lanes(params.lanes)
            // The number of hashing threads alone determines the number of cores in use.
            .threads(1)
            .tag_len(TagLen::bytes(TAG_BYTES as u64))
            .build()
            .map_err(|fault| HashingFault(fault.to_string()))?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

/// The portable implementation: the reference in tests, and an alternative to the SIMD one.
#[cfg(any(test, feature = "portable-argon2"))]
pub(super) mod portable {
    use argon2::{Algorithm, Argon2, Block, Version};

    use super::{HashingFault, Params, TAG_BYTES, TagOutcome};

    /// The memory of one hashing thread, kept mapped between hashes and wiped after each.
    pub struct PortableArena(Vec<Block>);

    impl PortableArena {
        /// Maps the memory.
        pub fn reserve() -> PortableArena {
            PortableArena(vec![Block::default(); Params::CURRENT.memory_kib as usize])
        }
    }

    /// The tag of a password.
    pub fn tag(
        password: &[u8],
        salt: &[u8],
        params: &Params,
        arena: &mut PortableArena,
    ) -> TagOutcome {
        let broken = |fault: argon2::Error| HashingFault(fault.to_string());
        let params = argon2::Params::new(
            params.memory_kib,
            params.passes,
            params.lanes,
            Some(TAG_BYTES),
        );
        let params = params.map_err(broken)?;
        let blocks = params.block_count();
        if arena.0.len() < blocks {
            arena.0.resize(blocks, Block::default());
        }
        let memory = &mut arena.0[..blocks];
        let mut tag = [0; TAG_BYTES];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let outcome = argon2.hash_password_into_with_memory(password, salt, &mut tag, &mut *memory);
        memory.fill(Block::default());
        if arena.0.len() > Params::CURRENT.memory_kib as usize {
            // A single old hash with large parameters must not keep that memory for the life of the thread.
            arena.0.truncate(Params::CURRENT.memory_kib as usize);
            arena.0.shrink_to_fit();
        }
        outcome.map_err(broken)?;
        Ok(tag)
    }
}
