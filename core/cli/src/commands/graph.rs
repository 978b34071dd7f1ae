//! `x2nix graph`: the dependency graph of a lock file, for Graphviz or Mermaid.

use super::{lock_path, platform_of, read_lock};
use crate::report::{Stop, answer};
use clap::ArgMatches;
use std::collections::{BTreeMap, BTreeSet};
use x2nix_core::{lock::Lock, protocol::Role};

/// One edge: owner, needed, and how.
type Edge<'l> = (&'l str, &'l str, Style);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Style {
    Plain,
    /// Runs on the machine that builds.
    Build,
    /// Only if it is there anyway, or only afterwards.
    Weak,
}

/// Runs the command.
pub(crate) fn run(matches: &ArgMatches) -> Result<(), Stop> {
    let lock = read_lock(&lock_path(matches))?;
    let platform = platform_of(matches, &lock)?;
    let (nodes, edges) = graph(&lock, &platform);
    let mermaid = matches.get_one::<String>("syntax").is_some_and(|syntax| syntax == "mermaid");
    answer(&if mermaid { to_mermaid(&nodes, &edges) } else { to_dot(&nodes, &edges) })
}

fn graph<'l>(lock: &'l Lock, platform: &str) -> (Vec<&'l str>, Vec<Edge<'l>>) {
    let Some(answer) = lock.platforms.get(platform) else { return (Vec::new(), Vec::new()) };
    let mut edges = BTreeMap::new();
    for id in &answer.packages {
        for need in lock.package(id, platform).into_iter().flat_map(|package| &package.depends) {
            let style = match (need.optional || need.post, need.role) {
                (true, _) => Style::Weak,
                (_, Role::Build) => Style::Build,
                _ => Style::Plain,
            };
            for by in &need.by {
                let strongest = edges.entry((id.as_str(), by.as_str())).or_insert(style);
                *strongest = (*strongest).min(style);
            }
        }
    }
    let nodes = answer.packages.iter().map(String::as_str).collect();
    (nodes, edges.into_iter().map(|((owner, needed), style)| (owner, needed, style)).collect())
}

/// A label as both languages take it between double quotes: an id holds whatever a lock holds.
fn quoted(text: &str) -> String {
    let plain = |c: char| if c == '"' || c == '\\' || c.is_control() { '_' } else { c };
    format!("\"{}\"", text.replacen('@', " ", 1).chars().map(plain).collect::<String>())
}

fn to_dot(nodes: &[&str], edges: &[Edge<'_>]) -> String {
    let mut text = String::from("digraph x2nix {\n  rankdir=LR\n  node [shape=box]\n");
    for node in nodes {
        text.push_str(&format!("  {}\n", quoted(node)));
    }
    for (owner, needed, style) in edges {
        let style = match style {
            Style::Plain => "",
            Style::Build => " [style=dashed]",
            Style::Weak => " [style=dotted]",
        };
        text.push_str(&format!("  {} -> {}{style}\n", quoted(owner), quoted(needed)));
    }
    text + "}\n"
}

fn to_mermaid(nodes: &[&str], edges: &[Edge<'_>]) -> String {
    let all: BTreeSet<&str> =
        nodes.iter().copied().chain(edges.iter().map(|edge| edge.1)).collect();
    let numbers: BTreeMap<&str, usize> =
        all.into_iter().enumerate().map(|(number, id)| (id, number)).collect();
    let mut text = String::from("graph LR\n");
    for (id, number) in &numbers {
        text.push_str(&format!("  n{number}[{}]\n", quoted(id)));
    }
    for (owner, needed, style) in edges {
        let arrow = if *style == Style::Plain { "-->" } else { "-.->" };
        text.push_str(&format!("  n{} {arrow} n{}\n", numbers[owner], numbers[needed]));
    }
    text
}
