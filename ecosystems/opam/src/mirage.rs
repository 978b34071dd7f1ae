//! MirageOS: unikernels, configured by a program and compiled for a target.
//!
//! A unikernel's project has a `config.ml`, an OCaml program against the library of the `mirage` tool.
//! `mirage configure -t TARGET` compiles and runs it, and writes what dune needs (`dune-workspace` with a
//! cross toolchain, `dune.build`, `mirage/main.ml`) and `mirage/NAME-TARGET.opam`, which says what the
//! unikernel is made of. Only then can be resolved. So for each target that is asked for
//!
//! ```text
//! config.ml          -> a preparation: the tool that its first line asks for, and `mirage configure`
//! TARGET-configured  -> the opam file in it is a package of the project, read as a monorepo's root
//! NAME-TARGET        -> its unit: project + what was generated + duniverse, one `dune build` of `dist`
//! ```
//!
//! A project that is configured already (`mirage/*-TARGET.opam` lies beside `config.ml`) needs no tool.
//!
//! The configure step sees `config.ml` and nothing else: the tool compiles that module alone. So a change
//! of the unikernel does not configure it anew. In a build it runs again, and the script `x2nix-mirage`
//! compares: where it writes another opam file than the one that was locked, the build stops.
//!
//! The script also holds what is known to go wrong between findlib, dune and separate prefixes; see
//! there. Arguments that the unikernel takes when it boots are no matter of resolving or building.

mod unit;

pub(crate) use unit::{Made, add, adjust, installed, is_unikraft, wants_one_prefix};

use crate::plugin::monorepo::shell::PLACED;
use std::collections::{BTreeMap, BTreeSet};
use x2nix_protocol::{
    Artifact, Build, BuildAnswer, BuildRequest, Diagnostic, EnvironmentOperation, FactsAnswer,
    FactsRequest, FileContent, Host, Input, InputKind, LatePart, ListRequest, MembersAnswer,
    MembersRequest, Meta, OpenRequest, Operation, OptionSpec, OptionValue, Origin, Part, Phase,
    PluginResult, Preparation, ReadRequest, Recipe, Session, Source, Step, TreeId, Unit, Word,
};

/// What unikernels can be made for (`lib/devices/key.ml` of mirage).
const TARGETS: [&str; 11] = [
    "unix",
    "hvt",
    "spt",
    "virtio",
    "muen",
    "xen",
    "qubes",
    "genode",
    "macosx",
    "unikraft-firecracker",
    "unikraft-qemu",
];

/// The tool.
pub(crate) const TOOL: &str = "mirage";

/// The option of the session that resolves the tool; nobody else can give it.
pub(crate) const CONFIGURES: &str = "mirage: configures";

/// The program that describes a unikernel.
const CONFIG: &str = "config.ml";

/// The options of the command line.
pub(crate) fn options() -> Vec<OptionSpec> {
    let texts = |name: &str, help: &str| OptionSpec {
        name: name.into(),
        help: help.into(),
        value: OptionValue::Texts,
        ..OptionSpec::default()
    };
    vec![
        texts(
            "target",
            "Configure the MirageOS unikernel of the project for this target: unix, hvt, spt, virtio, muen, xen, qubes, genode, macosx, unikraft-firecracker, unikraft-qemu (repeatable)",
        ),
        texts(
            "mirage-config",
            "The config.ml of the unikernel, if it lies in a folder below the project",
        ),
        texts("mirage-arg", "An argument for `mirage configure`, such as --dhcp=true (repeatable)"),
    ]
}

/// Where a unikernel of the project is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Configured {
    /// The package that it is: the name of its opam file.
    pub(crate) package: String,
    /// The target.
    pub(crate) target: String,
    /// The tree of its opam file, and what that is called in messages.
    pub(crate) tree: TreeId,
    pub(crate) label: String,
    /// The path of its opam file.
    pub(crate) path: String,
    /// The path of its `config.ml`, and its folder; empty for the top.
    config: String,
    pub(crate) folder: String,
    /// The unit that configures it; nothing where the project is configured.
    pub(crate) unit: Option<String>,
}

impl Configured {
    /// The path of its `config.ml`.
    pub(crate) fn config(&self) -> &str {
        &self.config
    }

    /// The file that is made, if the opam file does not say.
    pub(crate) fn image(&self) -> String {
        let name = self.package.strip_suffix(&format!("-{}", self.target)).unwrap_or(&self.package);
        match self.target.as_str() {
            "unix" | "macosx" => name.to_owned(),
            "xen" | "qubes" => format!("{name}.xen"),
            "unikraft-firecracker" => format!("{name}.fc"),
            "unikraft-qemu" => format!("{name}.qemu"),
            target => format!("{name}.{target}"),
        }
    }
}

/// What a project says of unikernels.
#[derive(Debug, Default)]
pub(crate) struct Unikernels {
    /// What has to be configured first.
    pub(crate) preparations: Vec<Preparation>,
    /// What is configured.
    pub(crate) configured: Vec<Configured>,
    /// What the user should know.
    pub(crate) notes: Vec<Diagnostic>,
}

/// The session of a request that cannot be read yet: there is nothing to ask of it.
pub(crate) struct Unprepared;

impl Unprepared {
    fn refuse<T>() -> PluginResult<T> {
        Err(refuse("opam::protocol", "asked before the unikernel was configured".into()).into())
    }
}

impl Session for Unprepared {
    fn facts(&mut self, _: &FactsRequest) -> PluginResult<FactsAnswer> {
        Self::refuse()
    }

    fn members(&mut self, _: &MembersRequest) -> PluginResult<MembersAnswer> {
        Self::refuse()
    }

    fn build(&mut self, _: &BuildRequest) -> PluginResult<BuildAnswer> {
        Self::refuse()
    }
}

/// The target that mirage still has, and solo5 no more (its `CHANGES.md`, 0.7.0).
const UNLINKED: &str = "genode";

/// Reads what a request asks of unikernels.
pub(crate) fn unikernels(host: &dyn Host, request: &OpenRequest) -> PluginResult<Unikernels> {
    let of = |option: &str| request.options.get(option).into_iter().flatten();
    let targets: Vec<&String> = of("target").collect();
    for target in &targets {
        if !TARGETS.contains(&target.as_str()) {
            return Err(refuse("opam::target", format!("there is no target {target:?}"))
                .help(format!("choose of: {}", TARGETS.join(", ")))
                .into());
        }
    }
    let config = of("mirage-config").next_back().map_or(CONFIG, String::as_str);
    let Some(project) = request.inputs.iter().find(|input| input.kind == InputKind::Project) else {
        if targets.is_empty() || request.inputs.iter().any(|it| it.kind == InputKind::Pin) {
            return Ok(Unikernels::default());
        }
        return Err(refuse("opam::target", "--target is for a project with a config.ml".into())
            .help("name its folder: x2nix resolve --ecosystem opam --target hvt DIR")
            .into());
    };
    let place = Place::new(host, project, config)?;
    let Some(content) = &place.content else {
        if targets.is_empty() && config == CONFIG {
            return Ok(Unikernels::default());
        }
        return Err(refuse("opam::target", format!("there is no {config}"))
            .at(Origin::new(config, None))
            .help("--mirage-config PATH names the config.ml of a unikernel, from the project's folder")
            .into());
    };
    let own = place.opam_files(host, project.tree)?;
    let mut found = Unikernels::default();
    if targets.is_empty() {
        // Configured by hand, for whatever target.
        for file in own {
            let target = TARGETS.into_iter().filter(|it| file.ends_with(&format!("-{it}.opam")));
            let target = target.max_by_key(|it| it.len());
            found.configured.extend(target.map(|it| place.configured(project, &file, it, None)));
        }
        return Ok(found);
    }
    let words = tool(content, config)?;
    for target in targets {
        if target == UNLINKED {
            let message = "a unikernel for genode locks, and does not link: solo5 has no bindings for Genode since 0.7.0, and mirage 4 wants a newer one";
            let note = Diagnostic::warning("opam::target", message).at(Origin::new(config, None));
            found
                .notes
                .push(note.help("choose another target, such as hvt, spt, virtio, muen or xen"));
        }
        let name = format!("{target}-configured");
        let is_it = |input: &&Input| input.kind == InputKind::Generated && input.label == name;
        let suffix = format!("-{target}.opam");
        let made = request.inputs.iter().find(is_it);
        let (input, files) = match made {
            Some(input) => (input, place.opam_files(host, input.tree)?),
            None => (project, own.clone()),
        };
        let mut files = files.into_iter().filter(|file| file.ends_with(&suffix));
        match (files.next(), made) {
            (Some(file), _) => {
                let unit = made.map(|_| name);
                found.configured.push(place.configured(input, &file, target, unit));
            }
            (None, None) => {
                let arguments = of("mirage-arg").cloned().collect::<Vec<_>>();
                let compiler = request.options.get_key_value("compiler");
                let mut preparation = place.preparation(name, target, &words, &arguments);
                let compiler = compiler.map(|(key, value)| (key.clone(), value.clone()));
                preparation.options.extend(compiler);
                found.preparations.push(preparation);
            }
            (None, Some(_)) => {
                let folder = place.below("mirage");
                let message = format!("`mirage configure -t {target}` made no {folder}/*{suffix}");
                return Err(refuse("opam::configure", message)
                    .at(Origin::new(config, None))
                    .help("mirage 4 writes one; let the first line of config.ml ask for it: (* mirage >= 4.5.0 *)")
                    .into());
            }
        }
    }
    Ok(found)
}

fn refuse(code: &str, message: String) -> Diagnostic {
    Diagnostic::error(code, message)
}

/// A project's `config.ml`.
struct Place {
    /// Its path.
    config: String,
    /// Its folder; empty for the top.
    folder: String,
    content: Option<Vec<u8>>,
}

/// The `config.ml` at the top of the project, if there is one.
pub(crate) fn config_of(host: &dyn Host, inputs: &[Input]) -> PluginResult<Option<Origin>> {
    let Some(project) = inputs.iter().find(|input| input.kind == InputKind::Project) else {
        return Ok(None);
    };
    let place = Place::new(host, project, CONFIG)?;
    Ok(place.content.map(|_| Origin::new(CONFIG, None)))
}

impl Place {
    fn new(host: &dyn Host, project: &Input, config: &str) -> PluginResult<Self> {
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        if !config.split('/').all(plain) || config.starts_with('-') || config.contains('\0') {
            return Err(refuse(
                "opam::target",
                format!("--mirage-config {config:?} is no path below the project"),
            )
            .help("write it from the project's folder: unikernel/config.ml")
            .into());
        }
        let paths = vec![config.to_owned()];
        let content = host.read(&ReadRequest { tree: project.tree, paths })?.files.pop();
        let content = match content {
            Some(FileContent::Found(bytes)) => Some(bytes.0),
            Some(FileContent::Unreadable(why)) => {
                let origin = Origin::new(config, None);
                return Err(refuse("opam::unreadable", why).at(origin).access().into());
            }
            _ => None,
        };
        let folder = config.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        Ok(Self { config: config.to_owned(), folder, content })
    }

    fn below(&self, path: &str) -> String {
        match self.folder.as_str() {
            "" => path.to_owned(),
            folder => format!("{folder}/{path}"),
        }
    }

    /// The names of the opam files that the tool has written into a tree.
    fn opam_files(&self, host: &dyn Host, tree: TreeId) -> PluginResult<Vec<String>> {
        let folders = vec![self.below("mirage")];
        let listing = host.list(&ListRequest::new(tree, folders))?.listings.pop().flatten();
        let files = listing.unwrap_or_default().into_iter().filter(|entry| !entry.folder);
        let files = files.map(|entry| entry.name).filter(|name| name.ends_with(".opam"));
        // What the shell has put there was made from the lock.
        let placed = host.read(&ReadRequest { tree, paths: vec![PLACED.into()] })?.files.pop();
        let placed = match placed {
            Some(FileContent::Found(bytes)) => String::from_utf8_lossy(&bytes.0).into_owned(),
            _ => String::new(),
        };
        let paths = placed.lines().filter_map(|line| line.split('\t').next());
        let placed: BTreeSet<&str> = paths.collect();
        let own = |name: &String| !placed.contains(self.below(&format!("mirage/{name}")).as_str());
        Ok(files.filter(own).collect())
    }

    fn configured(
        &self,
        input: &Input,
        file: &str,
        target: &str,
        unit: Option<String>,
    ) -> Configured {
        Configured {
            package: file.trim_end_matches(".opam").to_owned(),
            target: target.to_owned(),
            tree: input.tree,
            label: input.label.clone(),
            path: self.below(&format!("mirage/{file}")),
            config: self.config.clone(),
            folder: self.folder.clone(),
            unit,
        }
    }

    /// `mirage configure`, on `config.ml` alone.
    fn preparation(
        &self,
        name: String,
        target: &str,
        roots: &[String],
        arguments: &[String],
    ) -> Preparation {
        let texts = |words: &[&str]| words.iter().copied().map(Word::text).collect::<Vec<_>>();
        let mut configure =
            texts(&["mirage", "configure", "-f", &self.config, "-t", target, "--no-extra-repo"]);
        configure.extend(arguments.iter().map(Word::text));
        let mut copy = texts(&["cp", "-R", "."]);
        copy.push(Word(vec![Part::Late(LatePart::Out(String::new()))]));
        let step = |phase, words| Step { phase, words };
        let set = |variable: &str, value: &str| {
            EnvironmentOperation::new(variable, Operation::Set, Word::text(value))
        };
        let build = Build {
            sources: vec![Source {
                artifact: self.config.clone(),
                to: self.config.clone(),
                ..Source::default()
            }],
            environment: vec![set("DUNE_CACHE", "disabled")],
            steps: vec![
                step(Phase::Build, configure),
                step(Phase::Build, texts(&["rm", "-rf", "_build"])),
                step(Phase::Install, copy),
            ],
            ..Build::default()
        };
        let local = Artifact::Local { path: self.config.clone() };
        Preparation {
            unit: Unit {
                name: name.clone(),
                version: "0".into(),
                recipe: Recipe::Build(build),
                depends: Vec::new(),
                exports: Vec::new(),
                meta: Meta {
                    description: Some(format!("What mirage configure makes for {target}")),
                    ..Meta::default()
                },
            },
            name,
            roots: roots.to_vec(),
            options: BTreeMap::from([(CONFIGURES.to_owned(), Vec::new())]),
            artifacts: BTreeMap::from([(self.config.clone(), local)]),
            origin: Some(Origin::new(self.config.clone(), None)),
        }
    }
}

/// The tool that a `config.ml` asks for, in the words of roots. Its first line may say which versions do:
/// `(* mirage >= 4.9.0 & < 4.12.0 *)` (`check_version` of `lib/functoria/tool.ml`).
fn tool(config: &[u8], path: &str) -> PluginResult<Vec<String>> {
    let first = config.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let first = String::from_utf8_lossy(first);
    let Some(rest) = first.strip_prefix("(* mirage ") else { return Ok(vec![TOOL.into()]) };
    let bad = || {
        Box::new(
            refuse(
                "opam::mirage-version",
                format!("{:?} is no bound on the mirage tool", first.trim()),
            )
            .at(Origin::new(path, Some(1)))
            .help("write it as (* mirage >= 4.9.0 & < 4.12.0 *)"),
        )
    };
    let bounds = rest.split_once("*)").ok_or_else(bad)?.0;
    let mut words = Vec::new();
    for bound in bounds.split('&').map(str::trim).filter(|bound| !bound.is_empty()) {
        let known =
            [">=", "<"].into_iter().find_map(|sign| Some((sign, bound.strip_prefix(sign)?)));
        let (sign, version) = known.ok_or_else(bad)?;
        let version = version.trim();
        if !version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') || version.is_empty()
        {
            return Err(bad());
        }
        words.push(format!("{TOOL}{sign}{version}"));
    }
    Ok(if words.is_empty() { vec![TOOL.into()] } else { words })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_says_which_tool() {
        let tool = |text: &str| tool(text.as_bytes(), "config.ml").map_err(|error| error.message);
        assert_eq!(tool("open Mirage\n").unwrap(), ["mirage"]);
        assert_eq!(tool("").unwrap(), ["mirage"]);
        assert_eq!(
            tool("(* mirage >= 4.9.0 & < 4.12.0 *)\nopen Mirage").unwrap(),
            ["mirage>=4.9.0", "mirage<4.12.0"]
        );
        assert_eq!(tool("(* mirage  <4.12.0*)").unwrap(), ["mirage<4.12.0"]);
        assert_eq!(tool("(* mirage *)").unwrap(), ["mirage"]);
        for wrong in
            ["(* mirage > 4 *)", "(* mirage >= *)", "(* mirage >= 4", "(* mirage is good *)"]
        {
            assert!(tool(wrong).unwrap_err().contains("is no bound on the mirage tool"), "{wrong}");
        }
    }
}
