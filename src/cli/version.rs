//! `vestibule version`: what this binary is and how it hashes.

use serde_json::json;

use super::exit::Exit;
use super::place::Place;

/// Prints the version.
pub fn run(place: &Place) -> Result<(), Exit> {
    let version = env!("CARGO_PKG_VERSION");
    let argon2 = if cfg!(feature = "portable-argon2") {
        "portable"
    } else {
        "simd"
    };
    place.print(
        &json!({"version": version, "argon2": argon2}),
        format!("vestibule {version} (argon2: {argon2})"),
    )
}
