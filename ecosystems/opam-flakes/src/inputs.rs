//! The inputs of a flake, as places that x2nix takes repositories from.

use crate::reader::{Reader, Value};
use serde_json::Value as Json;
use x2nix_protocol::{Diagnostic, Origin};

/// What a flake says of its inputs, and what its lock says.
pub(crate) struct Inputs {
    /// The addresses in the flake, by name.
    written: Vec<(String, String)>,
    /// `flake.lock`.
    lock: Option<Json>,
}

impl Inputs {
    pub(crate) fn read(
        reader: &Reader<'_>,
        lock: Option<&str>,
        label: &str,
    ) -> Result<Self, Box<Diagnostic>> {
        let lock =
            lock.map(serde_json::from_str).transpose().map_err(|error: serde_json::Error| {
                let line = u32::try_from(error.line()).ok();
                let file = label.strip_suffix(".nix").unwrap_or(label);
                Box::new(
                    Diagnostic::error(
                        "import::flake-lock",
                        format!("the lock of the flake is broken: {error}"),
                    )
                    .at(Origin::new(format!("{file}.lock"), line))
                    .help("run `nix flake lock`, or remove the file"),
                )
            })?;
        let mut written = Vec::new();
        let top = reader.top().map(|top| reader.value(&rnix::ast::Expr::AttrSet(top)));
        if let Some(Value::Set(top)) = top
            && let Some(Value::Set(inputs)) = top.get("inputs").map(|it| &it.value)
        {
            for (name, item) in &inputs.members {
                if let Value::Set(input) = &item.value
                    && let Some(Value::Text(url)) = input.get("url").map(|it| &it.value)
                {
                    written.push((name.clone(), url.clone()));
                }
            }
        }
        Ok(Self { written, lock })
    }

    /// The place of an input of the flake: as locked, or as written.
    pub(crate) fn place(&self, name: &str) -> Option<String> {
        let locked = self.node(&[name]).and_then(|node| place_of(node.get("locked")?));
        locked.or_else(|| {
            let (_, url) = self.written.iter().find(|(it, _)| it == name)?;
            Some(place_of_url(url))
        })
    }

    /// The place of an input of an input, as locked.
    pub(crate) fn place_within(&self, name: &str, inner: &str) -> Option<String> {
        self.node(&[name, inner]).and_then(|node| place_of(node.get("locked")?))
    }

    /// A node of the lock: a path of inputs from the flake itself. Inputs that follow others name the
    /// path of those from the flake.
    fn node(&self, path: &[&str]) -> Option<&Json> {
        let nodes = self.lock.as_ref()?.get("nodes")?;
        let root = self.lock.as_ref()?.get("root")?.as_str()?;
        let mut left: Vec<String> = path.iter().rev().map(|&it| it.to_owned()).collect();
        let mut node = nodes.get(root)?;
        // Following may lead in a circle.
        for _ in 0..64 {
            let Some(name) = left.pop() else { return Some(node) };
            match node.get("inputs")?.get(&name)? {
                Json::String(name) => node = nodes.get(name)?,
                Json::Array(follows) => {
                    let follows = follows.iter().rev().filter_map(Json::as_str);
                    left.extend(follows.map(str::to_owned));
                    node = nodes.get(root)?;
                }
                _ => return None,
            }
        }
        None
    }
}

/// What is locked, as x2nix names places.
fn place_of(locked: &Json) -> Option<String> {
    let text = |key: &str| locked.get(key).and_then(Json::as_str);
    let revision = text("rev").map(|rev| format!("#{rev}")).unwrap_or_default();
    match text("type")? {
        kind @ ("github" | "gitlab") => {
            let host = text("host").map_or_else(|| format!("{kind}.com"), str::to_owned);
            Some(format!("git+https://{host}/{}/{}.git{revision}", text("owner")?, text("repo")?))
        }
        "git" => Some(format!("git+{}{revision}", text("url")?)),
        "tarball" | "file" => text("url").map(str::to_owned),
        "path" => text("path").map(str::to_owned),
        _ => None,
    }
}

/// The address of an input, as x2nix names places.
fn place_of_url(url: &str) -> String {
    for host in ["github", "gitlab"] {
        let Some(rest) = url.strip_prefix(host).and_then(|it| it.strip_prefix(':')) else {
            continue;
        };
        let rest = rest.split('?').next().unwrap_or(rest);
        let mut parts = rest.splitn(3, '/');
        if let (Some(owner), Some(repository)) = (parts.next(), parts.next()) {
            let revision = parts.next().map(|it| format!("#{it}")).unwrap_or_default();
            return format!("git+https://{host}.com/{owner}/{repository}.git{revision}");
        }
    }
    if let Some(path) = url.strip_prefix("path:") {
        return path.to_owned();
    }
    if let Some((address, query)) = url.split_once('?').filter(|_| url.starts_with("git+")) {
        let wanted =
            |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
        let revision = wanted("rev").or_else(|| wanted("ref"));
        return format!("{address}{}", revision.map(|it| format!("#{it}")).unwrap_or_default());
    }
    url.strip_prefix("tarball+").unwrap_or(url).to_owned()
}
