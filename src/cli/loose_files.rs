//! Files with secrets that other users of the machine can read or change: `config check` and `serve` warn of them.

use std::path::{Path, PathBuf};

use crate::admin::installation::database_file;
use crate::config::Config;

/// A warning for each file with secrets that other users of the machine can read or change. Members of the file's
/// group may read it, so that an administrator can own a file that the server reads.
pub fn loose_files(config: &Config) -> Vec<String> {
    let secrets = [
        &config.keys.master_key_file,
        &config.database.url_file,
        &config.database.key_file,
        &config.listen.tls_key_file,
        &config.outbound.proxy_password_file,
        &config.sms.twilio_auth_token_file,
        &config.sms.webhook_secret_file,
        &config.smtp.password_file,
    ];
    let mut files: Vec<PathBuf> = secrets.into_iter().flatten().cloned().collect();
    if let Ok(Some(database)) = database_file(config) {
        for suffix in ["", "-wal", "-shm"] {
            let mut name = database.clone().into_os_string();
            name.push(suffix);
            files.push(PathBuf::from(name));
        }
    }
    files.iter().filter_map(|path| loose(path)).collect()
}

#[cfg(unix)]
fn loose(path: &Path) -> Option<String> {
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).ok()?.permissions());
    let path = path.display();
    (mode & 0o027 != 0).then(|| {
        format!(
            "{path} can be read or changed by other users of this machine (mode {:o}): chmod 600 {path}",
            mode & 0o777
        )
    })
}

#[cfg(not(unix))]
fn loose(_: &Path) -> Option<String> {
    None
}
