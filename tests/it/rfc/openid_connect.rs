//! OpenID Connect, judged by an independent library from the discovery document alone.
