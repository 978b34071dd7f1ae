//! Scenarios: universes as data, and a plugin that speaks for them.
//!
//! `tests/scenarios/README.md` says how to write one.
#![allow(dead_code, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

pub(crate) mod formula;
pub(crate) mod plugin;
pub(crate) mod record;
pub(crate) mod scenario;
pub(crate) mod shelf;

use scenario::Scenario;
use shelf::TREE;
use x2nix_core::{Request, RequestInput};
use x2nix_protocol::{Input, InputKind};

/// What a scenario asks the engine for.
pub(crate) fn request(scenario: &Scenario) -> Request {
    let input = Input { tree: TREE, kind: InputKind::Project, label: "scenario".into() };
    Request {
        inputs: vec![RequestInput { input, location: ".".into(), hash: None }],
        platforms: scenario.platforms.clone(),
        policy: scenario.policy.clone(),
        build: true,
        ..Request::default()
    }
}
