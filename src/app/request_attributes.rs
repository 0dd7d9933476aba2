//! The description of the request for a discovery handler: `requestAttributes`.
//!
//! Source: HeadlessUserDiscoveryHandler Interface. Platform and application are derived from the `User-Agent`,
//! which the caller chooses freely: they are only hints.

use std::collections::BTreeMap;

use super::Visit;

/// Marks of platforms in a `User-Agent`; the first match decides, so the more specific ones come first.
const PLATFORMS: [(&str, &str); 8] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("CFNetwork", "iPhone"),
    ("Android", "Android"),
    ("android", "Android"),
    ("Windows", "Windows"),
    ("Macintosh", "Mac"),
    ("Linux", "Linux"),
];

/// Marks of applications, in the same form.
const APPLICATIONS: [(&str, &str); 7] = [
    ("SalesforceMobileSDK", "SalesforceMobileSDK"),
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("okhttp/", "okhttp"),
];

/// The attributes of a request, under their documented names; unknown ones are absent.
pub(super) fn request_attributes(visit: &Visit) -> BTreeMap<String, String> {
    let agent = visit.user_agent.as_deref();
    let known = [
        ("CommunityUrl", Some(visit.site.site.base_url.as_str())),
        ("UserAgent", agent),
        ("Platform", agent.and_then(|agent| mark(agent, &PLATFORMS))),
        (
            "Application",
            agent.and_then(|agent| mark(agent, &APPLICATIONS)),
        ),
        ("City", visit.location.city.as_deref()),
        ("Country", visit.location.country.as_deref()),
        ("Subdivision", visit.location.subdivision.as_deref()),
    ];
    let mut attributes: BTreeMap<String, String> = known
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    attributes.insert(String::from("IpAddress"), visit.ip.to_string());
    attributes
}

fn mark(agent: &str, marks: &[(&str, &'static str)]) -> Option<&'static str> {
    let found = marks.iter().find(|(mark, _)| agent.contains(mark));
    found.map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platform_and_application_are_read_off_the_user_agent() {
        for (agent, platform, application) in [
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Safari/604.1",
                Some("iPhone"),
                Some("Safari"),
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/150.0.0.0 Safari/537.36 Edg/150.0",
                Some("Windows"),
                Some("Edge"),
            ),
            (
                "SalesforceMobileSDK/13.0 android mobile/15 (Pixel) Linux; Android 15",
                Some("Android"),
                Some("SalesforceMobileSDK"),
            ),
            ("curl/8.5.0", None, None),
        ] {
            assert_eq!(mark(agent, &PLATFORMS), platform, "{agent}");
            assert_eq!(mark(agent, &APPLICATIONS), application, "{agent}");
        }
    }
}
