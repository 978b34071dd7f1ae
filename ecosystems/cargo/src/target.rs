//! Platforms as rustc sees them: what `cfg(…)` holds on them.

use cargo_platform::{Cfg, Platform};

/// A platform as rustc names and knows it.
pub(crate) struct Target {
    triple: String,
    cfg: Vec<Cfg>,
}

/// An architecture: Nix's name, rustc's, `target_arch`, pointer width, and what its processors can do at
/// least.
const ARCHITECTURES: &[(&str, &str, &str, &str, &[&str])] = &[
    ("x86_64", "x86_64", "x86_64", "64", &["fxsr", "sse", "sse2"]),
    ("aarch64", "aarch64", "aarch64", "64", &["neon"]),
    ("i686", "i686", "x86", "32", &["fxsr", "sse", "sse2"]),
    ("armv7l", "armv7", "arm", "32", &["v7"]),
    ("riscv64", "riscv64gc", "riscv64", "64", &["a", "c", "d", "f", "m"]),
    ("powerpc64le", "powerpc64le", "powerpc64", "64", &["altivec", "vsx"]),
    ("wasm32", "wasm32", "wasm32", "32", &[]),
];

impl Target {
    /// What a platform of Nix is to rustc, if it is known.
    pub(crate) fn of(platform: &str) -> Option<Self> {
        let (cpu, system) = platform.split_once('-')?;
        let &(_, rustc, arch, width, features) =
            ARCHITECTURES.iter().find(|(nix, ..)| *nix == cpu)?;
        let eabi = if cpu == "armv7l" { "eabihf" } else { "" };
        let (vendor, os, env, suffix) = match system {
            "linux" => ("unknown", "linux", "gnu", format!("linux-gnu{eabi}")),
            "darwin" => ("apple", "macos", "", "darwin".to_owned()),
            "freebsd" => ("unknown", "freebsd", "", "freebsd".to_owned()),
            "wasi" => ("unknown", "wasi", "p1", "wasip1".to_owned()),
            _ => return None,
        };
        let rustc = if system == "darwin" && cpu == "aarch64" { "aarch64" } else { rustc };
        let triple = if os == "wasi" {
            format!("{rustc}-{suffix}")
        } else {
            format!("{rustc}-{vendor}-{suffix}")
        };
        let name = |name: &str| name.parse::<Cfg>().ok();
        let pair = |key: &str, value: &str| format!("{key}=\"{value}\"").parse::<Cfg>().ok();
        let family = if os == "wasi" { "wasm" } else { "unix" };
        let mut cfg = vec![
            name("debug_assertions"),
            pair("panic", if os == "wasi" { "abort" } else { "unwind" }),
            pair("target_abi", eabi),
            pair("target_arch", arch),
            pair("target_endian", "little"),
            pair("target_env", env),
            pair("target_family", family),
            pair("target_os", os),
            pair("target_pointer_width", width),
            pair("target_vendor", vendor),
        ];
        if family == "unix" {
            cfg.push(name("unix"));
        }
        cfg.push(name("target_has_atomic"));
        for size in ["8", "16", "32", "64", "ptr"] {
            cfg.push(pair("target_has_atomic", size));
        }
        cfg.extend(features.iter().map(|feature| pair("target_feature", feature)));
        Some(Self { triple, cfg: cfg.into_iter().flatten().collect() })
    }

    /// All platforms of Nix that are known, with what rustc calls them; a line each.
    pub(crate) fn table() -> String {
        let mut lines = String::new();
        for (cpu, ..) in ARCHITECTURES {
            for system in ["linux", "darwin", "freebsd", "wasi"] {
                let platform = format!("{cpu}-{system}");
                if let Some(target) = Self::of(&platform) {
                    lines.push_str(&format!("{platform} {}\n", target.triple));
                }
            }
        }
        lines
    }

    /// Whether what is said for a platform holds here.
    pub(crate) fn is(&self, platform: &Platform) -> bool {
        platform.matches(&self.triple, &self.cfg)
    }
}
