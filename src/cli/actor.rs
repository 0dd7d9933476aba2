//! Who runs a command: the operating system's user, who is the actor in the audit log.

use crate::audit::Actor;

/// The user of this process. On Linux it is the owner of the process, by the system's list of users; elsewhere,
/// and where the list is not to be had, it is what the environment says.
pub fn current() -> Actor {
    let name = owner_of_process().or_else(|| {
        let names = ["USER", "LOGNAME", "USERNAME"];
        names.into_iter().find_map(|name| std::env::var(name).ok())
    });
    Actor::CommandLine {
        name: name.unwrap_or_else(|| String::from("unknown")),
    }
}

#[cfg(target_os = "linux")]
fn owner_of_process() -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let id = std::fs::metadata("/proc/self").ok()?.uid();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    Some(name_of(id, &users).unwrap_or_else(|| format!("uid {id}")))
}

#[cfg(not(target_os = "linux"))]
fn owner_of_process() -> Option<String> {
    None
}

/// The name of the user with an id, in the format of passwd(5): `name:password:uid:…`.
#[cfg(target_os = "linux")]
fn name_of(id: u32, users: &str) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, is_this) = (fields.next()?, fields.nth(1)? == id.to_string());
        is_this.then(|| name.to_owned())
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_by_the_systems_list() {
        let users = "root:x:0:0:root:/root:/bin/sh\n\nkim:x:1000:1000::/home/kim:/bin/sh\nbroken\n";
        assert_eq!(name_of(1000, users).as_deref(), Some("kim"));
        assert_eq!(name_of(0, users).as_deref(), Some("root"));
        assert_eq!(name_of(7, users), None);
    }
}
