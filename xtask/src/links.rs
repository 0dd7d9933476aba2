//! Links between the Markdown files: each relative one must lead to a file that exists and, with `#…`, to a heading in it.
//! Links to other sites are not followed, because a check must not fail when another site's server does.

use std::path::{Path, PathBuf};

use crate::outcome::{Context, Outcome};

/// Checks all Markdown files below `root`; returns the number of files and links.
pub fn check(root: &Path) -> Outcome<(usize, usize)> {
    let mut files = Vec::new();
    collect(root, &mut files)?;
    files.sort();
    let mut problems = Vec::new();
    let mut count = 0;
    for file in &files {
        let text = read(file)?;
        for (line, target) in links(&text) {
            count += 1;
            if let Some(problem) = problem(file, &target) {
                problems.push(format!(
                    "{}:{line}: {problem}",
                    file.strip_prefix(root).unwrap_or(file).display()
                ));
            }
        }
    }
    // The readme documents one test command; it must be the one that exists here.
    let readme = root.join("README.md");
    if readme.is_file() && !read(&readme)?.contains("cargo xtask test") {
        problems.push("README.md: does not name the test command, `cargo xtask test`".to_owned());
    }
    if problems.is_empty() {
        Ok((files.len(), count))
    } else {
        Err(problems.join("\n").into())
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Outcome {
    for entry in std::fs::read_dir(folder).context(folder.display())? {
        let path = entry.context(folder.display())?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            if !NOT_OURS.contains(&name.as_str()) {
                collect(&path, files)?;
            }
        } else if name.ends_with(".md") {
            files.push(path);
        }
    }
    Ok(())
}

/// The targets of `[text](target)`, `![text](target)` and `[name]: target`, with their lines; code is left out.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut is_fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
            continue;
        }
        if is_fenced {
            continue;
        }
        let prose = without_code(line);
        let mut rest = prose.as_str();
        while let Some(at) = rest.find("](") {
            rest = &rest[at + 2..];
            let Some(end) = rest.find(')') else { break };
            found.push((index + 1, first_word(&rest[..end])));
            rest = &rest[end..];
        }
        if prose.starts_with('[')
            && let Some((_, target)) = prose.split_once("]: ")
        {
            found.push((index + 1, first_word(target)));
        }
    }
    found
}

/// A line without its `inline code`.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// A target without its title and without the angle brackets that allow spaces.
fn first_word(target: &str) -> String {
    let word = target.split_whitespace().next().unwrap_or_default();
    word.trim_start_matches('<')
        .trim_end_matches('>')
        .to_owned()
}

fn problem(file: &Path, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let led_to = match path {
        "" => file.to_owned(),
        path => file.parent()?.join(path),
    };
    if !led_to.exists() {
        return Some(format!(
            "the link `{target}` leads nowhere; mend it, or write the file"
        ));
    }
    if anchor.is_empty() || led_to.extension().is_none_or(|kind| kind != "md") {
        return None;
    }
    let text = std::fs::read_to_string(&led_to).ok()?;
    let is_there = anchors(&text).iter().any(|known| known == anchor);
    (!is_there).then(|| format!("`{}` has no heading for `#{anchor}`", led_to.display()))
}

/// The anchors that common renderers give to headings: lower case, spaces to hyphens, other punctuation dropped.
fn anchors(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut is_fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
        }
        if is_fenced || !line.starts_with('#') {
            continue;
        }
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let slug: String = title
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let repeated = found.iter().filter(|known| **known == slug).count();
        found.push(slug.clone());
        if repeated > 0 {
            found.push(format!("{slug}-{repeated}"));
        }
    }
    found
}

fn read(file: &Path) -> Outcome<String> {
    std::fs::read_to_string(file).context(file.display())
}

/// Folders with third-party files.
const NOT_OURS: &[&str] = &["target", ".git", "node_modules", "data"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_in_prose_and_not_in_code() {
        let text = "See [a](a.md \"title\") and ![b](<b.png>), not `[c](c.md)`.\n```\n[d](d.md)\n```\n[e]: e.md\n";
        assert_eq!(
            links(text),
            [
                (1, "a.md".to_owned()),
                (1, "b.png".to_owned()),
                (5, "e.md".to_owned())
            ]
        );
    }

    #[test]
    fn headings_become_anchors() {
        let text =
            "# One-time passwords, and `code`!\n## Twice\n## Twice\n```\n# not a heading\n```\n";
        assert_eq!(
            anchors(text),
            ["one-time-passwords-and-code", "twice", "twice", "twice-1"]
        );
    }

    #[test]
    fn a_link_that_leads_nowhere_is_a_problem() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert_eq!(problem(&here, "src/main.rs"), None);
        assert_eq!(problem(&here, "https://example.com/nowhere"), None);
        assert!(problem(&here, "src/nowhere.md").is_some());
    }
}
