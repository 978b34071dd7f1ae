//! The derivations of a lock as one Nix file that reads no lock.
//!
//! The reader, `x2nix.nix`, and this are two forms of one thing: they make the same derivations, to the
//! byte, which a test holds them to with real Nix. What they have in common is the text of the reader's
//! sections that are marked `shared`, taken over as it is. The rest is what the reader finds out when it
//! is evaluated, written out: which units there are, what each is called and what is near it
//! ([`graph`]), what it starts from ([`sources`]), its environment and its commands as shell text
//! ([`shell`]), its derivation ([`units`]).
//!
//! Where a lock has several platforms, the units that they have alike are written once.

mod graph;
mod sections;
mod shell;
mod sources;
mod units;

use crate::tree::{Binding, Expr, Field, Parameter};
use sections::section;
use sources::Sources;
use units::Answer;
use x2nix_lock::{Lock, check_claims};
use x2nix_protocol::Diagnostic;

/// What the file says of itself.
const HEAD: &str = "\
# Made by `x2nix emit --standalone`; put changes into overrides.nix beside this file.
#
# The derivations of a lock file, written out; the lock is not read.
";

/// Whether a Nix file is of this form.
pub fn is_standalone(nix: &str) -> bool {
    nix.lines().next() == HEAD.lines().next()
}

/// The text of an `x2nix.nix` that stands alone, for a lock at `lock_file`: a path relative to the
/// folder that the text is to lie in, or an absolute one.
///
/// # Errors
///
/// What is wrong with a lock that was changed by hand.
pub fn standalone(lock: &Lock, lock_file: &str) -> Result<String, Box<Diagnostic>> {
    let mut wrong = check_claims(lock).into_iter();
    if let Some(first) = wrong.next() {
        return Err(Box::new(Diagnostic { also: wrong.collect(), ..first }));
    }
    let name = Expr::Name;
    let sources = Sources::new(lock);
    let mut bindings = vec![
        Binding::Verbatim(section("")),
        Binding::Blank,
        Binding::Comment("The lock; sources are relative to it."),
        Binding::new("lockFile", Expr::Path(lock_file.to_owned())),
        Binding::new("lockName", name("baseNameOf").call([name("lockFile")])),
    ];
    for shared in ["Files", "Shell", "Package set", "The result"] {
        bindings.extend([Binding::Blank, Binding::Verbatim(section(shared))]);
    }
    bindings.extend([Binding::Blank, Binding::Verbatim(PLATFORM), Binding::Blank]);
    bindings.extend([
        Binding::Comment("What several units start from."),
        Binding::new("sources", sources.shared()),
        Binding::Blank,
    ]);
    bindings.extend(platforms(lock, &sources));

    let layers = || name("layers").call([name("self")]);
    let shell = name("shell").call([name("self"), layers().get("exports")]);
    let each = Expr::function("_", Expr::function("shell", Expr::function("self", shell)));
    let own = Expr::set([
        ("scope", Expr::function("self", layers().get("units"))),
        ("shells", name("mapAttrs").call([each, name("answer").get("shells")])),
    ]);
    let whole = Expr::Update(Box::new([name("answer"), own]));
    let body = Expr::Let(bindings, Box::new(name("project").call([whole])));
    let file = Expr::Function(Parameter::Set(parameters()), Box::new(body));
    Ok(format!("{HEAD}{}\n", file.print()))
}

/// How a platform is chosen and its layers are put together.
const PLATFORM: &str = r#"  noFolder = location:
    throw "x2nix: a source lies in ${location}, which is no folder; resolve with a copy of it (--repo DIR)";

  answer = platforms.${system} or (throw
    "x2nix: ${lockName} has no answer for ${system}, only for ${concatStringsSep ", " (attrNames platforms)}; run `x2nix resolve --platform ${system}`");
  layers = self:
    let
      each = map (layer: layer self all.exports) answer.layers;
      all = mapAttrs (_: foldl' (a: b: a // b) { }) {
        exports = catAttrs "exports" each;
        units = catAttrs "units" each;
      };
    in
    all;"#;

fn parameters() -> Vec<Field> {
    let name = Expr::Name;
    let field = |name, default| Field { name, default: Some(default), comment: "" };
    let pkgs = name("import").call([name("<nixpkgs>"), Expr::Set(Vec::new())]);
    let file = Expr::Path("overrides.nix".into());
    let none = Expr::function("_", Expr::function("_", Expr::Set(Vec::new())));
    let exists = name("builtins").get("pathExists").call([file.clone()]);
    let overrides = Expr::If(Box::new([exists, name("import").call([file]), none]));
    vec![
        field("pkgs", pkgs),
        field("lib", name("pkgs").get("lib")),
        field("system", name("pkgs").get("stdenv").get("hostPlatform").get("system")),
        Field {
            name: "overrides",
            default: Some(overrides),
            comment: "`final: prev: { NAME = prev.NAME.overrideAttrs …; }`",
        },
    ]
}

/// The units in layers: one that all platforms have in common, and each platform's own.
fn platforms(lock: &Lock, sources: &Sources<'_>) -> Vec<Binding> {
    let answers: Vec<_> = lock
        .platforms
        .keys()
        .map(|platform| (platform.as_str(), Answer::new(lock, platform, sources)))
        .collect();
    let all: Vec<&Answer<'_>> = answers.iter().map(|(_, units)| units).collect();
    let common = if all.len() > 1 { Answer::common(&all) } else { Vec::new() };
    let is_common = |id: &str| common.binary_search(&id).is_ok();
    let layer = all.first().and_then(|first| first.layer(is_common));

    let mut bindings = vec![Binding::Comment(
        "The units by platform, in the scope `self`, and what they do to the environment of units that\n\
         need them, `exports`; then which of them are what.",
    )];
    let shared = layer.is_some();
    if let Some(layer) = layer {
        bindings.push(Binding::new("everywhere", layer));
    }
    let platforms = answers.iter().map(|(platform, units)| {
        let mut layers = Vec::new();
        if shared {
            layers.push(Expr::Name("everywhere"));
        }
        layers.extend(units.layer(|id| !is_common(id)));
        (*platform, units.answer(layers))
    });
    bindings.push(Binding::new("platforms", Expr::set(platforms)));
    bindings
}
