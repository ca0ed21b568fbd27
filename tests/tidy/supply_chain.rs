//! What this program is made of: licences, banned crates, second versions and sources, by the rules of `.deny.toml`.
//!
//! cargo-deny checks the same with the same file, as well as advisories (`make deny`). It takes minutes to build,
//! which this does not; the only difference is who reads the file.
#![expect(clippy::unwrap_used, reason = "part of a test: what cannot be read fails it")]

use std::collections::BTreeMap;
use std::process::Command;

use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};

use super::{report, root};

#[derive(Deserialize)]
struct Rules {
    graph: Graph,
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
    skip: Vec<Ban>,
}

/// A crate, or a version of it (`syn@2`), and why it is in its list.
#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    spec: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

/// What `cargo metadata` reports, as far as it matters here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

impl Ban {
    /// Whether it means this package: the same name, and as much of the version as it gives.
    fn means(&self, package: &Package) -> bool {
        match self.spec.split_once('@') {
            None => self.spec == package.name,
            Some((name, version)) => {
                name == package.name && format!("{}.", package.version).starts_with(&format!("{version}."))
            }
        }
    }
}

impl Package {
    fn shown(&self) -> String {
        format!("{} {}", self.name, self.version)
    }
}

fn rules() -> Rules {
    toml::from_str(&std::fs::read_to_string(root().join(".deny.toml")).unwrap()).unwrap()
}

/// Every package of the workspace with all features, on the target that this test runs on.
fn packages(rules: &Rules) -> Vec<Package> {
    let mut targets = rules.graph.targets.iter();
    let target = targets.find(|target| target.starts_with(std::env::consts::ARCH)).unwrap();
    let args =
        ["metadata", "--format-version", "1", "--locked", "--all-features", "--filter-platform", target];
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(args)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice::<Metadata>(&output.stdout).unwrap().packages
}

fn broken_licences(rules: &Licenses, package: &Package) -> Option<String> {
    let Some(text) = &package.license else {
        return Some(format!("{}: names no licence: look into its files, or do without it", package.shown()));
    };
    let Ok(expression) = Expression::parse_mode(text, ParseMode::LAX) else {
        return Some(format!("{}: `{text}` is not an SPDX licence", package.shown()));
    };
    let exceptions = rules.exceptions.iter().filter(|exception| exception.name == package.name);
    let allowed = rules.allow.iter().chain(exceptions.flat_map(|exception| &exception.allow));
    let licensees: Vec<Licensee> = allowed.map(|name| Licensee::parse(name).unwrap()).collect();
    let satisfied = expression.evaluate(|required| licensees.iter().any(|given| given.satisfies(required)));
    (!satisfied).then(|| format!("{}: the licence {text} is not allowed in .deny.toml", package.shown()))
}

fn broken_versions(rules: &Bans, packages: &[Package]) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&Package>> = BTreeMap::new();
    for package in packages.iter().filter(|package| !rules.skip.iter().any(|skip| skip.means(package))) {
        versions.entry(&package.name).or_default().push(package);
    }
    let twice = versions.values().filter(|versions| versions.len() > 1).map(|versions| {
        let shown: Vec<String> = versions.iter().map(|package| package.shown()).collect();
        format!("{}: move to one version, or add the older one to `skip` in .deny.toml", shown.join(", "))
    });
    let in_use = |skip: &Ban| {
        let name = skip.spec.split('@').next().unwrap_or_default();
        packages.iter().any(|package| skip.means(package))
            && packages.iter().filter(|package| package.name == name).count() > 1
    };
    let idle = rules.skip.iter().filter(|skip| !in_use(skip));
    let idle = idle.map(|skip| format!("{}: no second version is left: remove it from `skip`", skip.spec));
    twice.chain(idle).collect()
}

fn broken_bans(rules: &Bans, package: &Package) -> Option<String> {
    let ban = rules.deny.iter().find(|ban| ban.means(package))?;
    Some(format!("{}: is banned: {}", package.shown(), ban.reason))
}

fn broken_sources(rules: &Sources, package: &Package) -> Option<String> {
    // Without a source it is a member of this workspace.
    let source = package.source.as_deref()?;
    let known = rules.allow_registry.iter().any(|registry| source == format!("registry+{registry}"));
    (!known).then(|| format!("{}: comes from {source}, which is not in .deny.toml", package.shown()))
}

#[test]
fn dependencies_have_licences_versions_and_sources_that_are_allowed() {
    let rules = rules();
    let packages = packages(&rules);
    assert!(packages.len() > 100, "only {} packages", packages.len());
    let each = packages.iter().flat_map(|package| {
        [
            broken_licences(&rules.licenses, package),
            broken_bans(&rules.bans, package),
            broken_sources(&rules.sources, package),
        ]
    });
    report(each.flatten().chain(broken_versions(&rules.bans, &packages)));
}

fn package(name: &str, version: &str, license: &str) -> Package {
    let source = "registry+https://github.com/rust-lang/crates.io-index".to_owned();
    Package {
        name: name.to_owned(),
        version: version.to_owned(),
        license: Some(license.to_owned()),
        source: Some(source),
    }
}

#[test]
fn each_of_these_rules_finds_what_it_is_for() {
    let rules = rules();
    let licence = |name: &str, text: &str| broken_licences(&rules.licenses, &package(name, "1.0.0", text));
    for good in ["MIT", "GPL-3.0 OR MIT", "Apache-2.0/MIT", "(MIT OR GPL-2.0) AND Unicode-3.0"] {
        assert_eq!(licence("a", good), None);
    }
    for bad in ["GPL-3.0", "MIT AND GPL-3.0", "MPL-2.0", "no licence"] {
        assert!(licence("a", bad).unwrap().starts_with("a 1.0.0: "), "{bad}");
    }
    assert_eq!(licence("bitmaps", "MPL-2.0+"), None);

    let banned = broken_bans(&rules.bans, &package("openssl-sys", "0.9.1", "MIT")).unwrap();
    assert_eq!(banned, "openssl-sys 0.9.1: is banned: TLS is rustls");
    let mut forked = package("a", "1.0.0", "MIT");
    forked.source = Some("git+https://example.com/a".to_owned());
    assert!(broken_sources(&rules.sources, &forked).unwrap().contains("git+https://example.com/a"));

    let skip = |spec: &str| Ban { spec: spec.to_owned(), reason: String::new() };
    let bans = Bans { deny: Vec::new(), skip: vec![skip("b@1"), skip("c@0.2")] };
    let packages = [("a", "1.0.0"), ("a", "2.0.0"), ("b", "1.9.0"), ("b", "10.0.0"), ("c", "0.20.0")]
        .map(|(name, version)| package(name, version, "MIT"));
    let broken = broken_versions(&bans, &packages);
    assert_eq!(broken.len(), 2, "{broken:?}");
    assert!(broken[0].starts_with("a 1.0.0, a 2.0.0: ") && broken[1].starts_with("c@0.2: "), "{broken:?}");
}
