//! Nothing that a bad plugin does harms, and each is named.

use super::{
    compiled, hostile_plugin,
    support::{Place, Run},
};
use std::{sync::Arc, thread, time::Duration};
use x2nix_core::{Cancel, Failure, Request, resolve};
use x2nix_plugin_carriers::{Limits, Loader};
use x2nix_plugin_host::inputs::Inputs;

/// Runs the hostile plugin.
fn hostile_run(place: &Place, root: &str, more: &str) -> Run {
    place.repository("repo", &[]);
    let mut command = place.command(&format!(
        "resolve --ecosystem hostile --platform x86_64-linux --repo repo --root {root} --dry-run \
         --allow fetch=example.org --allow env=HOSTILE_TOKEN {more}"
    ));
    let output = command.output().unwrap();
    // Not as other runs are taken: it is the plugin that may panic here, and that is told of.
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    Run { status: output.status.code(), stdout, stderr }
}

#[test]
fn a_hostile_component_is_stopped_and_named() {
    let place = Place::new();
    let plugin = format!(
        "--plugin {} --plugin-memory 256 --plugin-time TIME",
        hostile_plugin().component.display()
    );
    hostile_run(&place, "good", &plugin.replace("TIME", "100")).exits(0);
    for (root, code, words) in [
        ("loop", "plugin::limit", "computed for more than 2 seconds"),
        ("allocate", "plugin::limit", "more memory than the 256 MiB"),
        ("recurse", "plugin::crash", "trapped"),
        ("panic", "plugin::crash", "on purpose"),
        ("abort", "plugin::crash", "trapped"),
        ("ask", "plugin::limit", "asked its host more than"),
        ("nest", "plugin::crash", "call stack exhausted"),
        ("numbers", "plugin::protocol", "set 77 was never announced"),
        ("members", "plugin::protocol", "members: runs of set"),
        ("fetch", "plugin::not-granted", "may not fetch from example.net"),
        ("read", "plugin::not-granted", "may not read /etc"),
        ("up", "plugin::not-granted", "may not read"),
        ("token", "hostile::token", "None"),
    ] {
        // A slow machine may take its time for all but the loop.
        let time = if root == "loop" { "2" } else { "100" };
        let plugin = plugin.replace("TIME", time);
        let run = hostile_run(&place, root, &plugin).exits(2);
        assert!(run.stderr.contains(code), "{root}: {}", run.stderr);
        assert!(run.stderr.contains(words), "{root}: {}", run.stderr);
        let named = run.stderr.contains("x2nix_hostile_plugin.wasm");
        assert!(named || root == "token", "{root}: {}", run.stderr);
    }
    let large = plugin.replace("256", "2048").replace("TIME", "100");
    let run = hostile_run(&place, "large", &large).exits(2);
    assert!(run.stderr.contains("plugin::"), "{}", run.stderr);
    // What was said is kept, and does the same again.
    let kept = place.names(".cache/x2nix/failures");
    assert!(!kept.is_empty());
    let mut command = place.command(&format!(
        "plugin test {} --plugin-time 2 --plugin-memory 256 --replay .cache/x2nix/failures/{}",
        hostile_plugin().component.display(),
        kept[0]
    ));
    assert_eq!(command.output().unwrap().status.code(), Some(4));
}

#[test]
fn a_hostile_library_is_stopped_where_it_is_isolated() {
    let place = Place::new();
    let native = format!(
        "--plugin {} --trust-native --isolate --plugin-memory 1024 --plugin-time TIME",
        hostile_plugin().native.display()
    );
    hostile_run(&place, "good", &native.replace("TIME", "100")).exits(0);
    for (root, code, words) in [
        ("loop", "plugin::limit", "computed for more than 2 seconds"),
        ("allocate", "plugin::crash", "its process ended"),
        ("recurse", "plugin::crash", "its process ended"),
        ("panic", "plugin::crash", "on purpose"),
        ("abort", "plugin::crash", "its process ended"),
        ("ask", "plugin::limit", "asked its host more than"),
    ] {
        let time = if root == "loop" { "2" } else { "100" };
        let run = hostile_run(&place, root, &native.replace("TIME", time)).exits(2);
        assert!(run.stderr.contains(code), "{root}: {}", run.stderr);
        assert!(run.stderr.contains(words), "{root}: {}", run.stderr);
    }
    // In this process, a panic is stopped at the border all the same.
    let run = hostile_run(&place, "panic", &native.replace("--isolate", "").replace("TIME", "100"))
        .exits(2);
    assert!(run.stderr.contains("on purpose"), "{}", run.stderr);
}

/// Asks the plugin that lies for a root, over each carrier in turn.
fn lies(place: &Place, root: &str) -> impl Iterator<Item = (String, Run)> {
    lies_with(place, root, &[])
}

fn lies_with<'p>(
    place: &'p Place,
    root: &str,
    environment: &'p [(&str, &str)],
) -> impl Iterator<Item = (String, Run)> {
    place.repository("repo", &[]);
    let files = compiled(place, "liar");
    let (component, native) = (files.component.display(), files.native.display());
    let carriers = [
        format!("{component} --plugin-memory 4096"),
        format!("{native} --trust-native"),
        format!("{native} --trust-native --isolate --plugin-memory 4096"),
    ];
    carriers.into_iter().map(move |carrier| {
        let words = format!(
            "resolve --ecosystem liar --platform x86_64-linux --repo repo --root {root} --dry-run --plugin {carrier}"
        );
        let mut command = place.command(&words);
        (carrier, Run::of(command.envs(environment.iter().copied())).exits(2))
    })
}

#[test]
fn an_answer_of_a_gibibyte_is_not_taken() {
    let place = Place::new();
    for (carrier, run) in lies(&place, "giant") {
        let said = "call `open`: it says more at once than the 128 MiB that it may";
        assert!(run.stderr.contains("plugin::limit"), "{carrier}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{carrier}: {}", run.stderr);
    }
    // It may not have that much memory either.
    let words = format!(
        "resolve --ecosystem liar --platform x86_64-linux --repo repo --root giant --dry-run --plugin {} --plugin-memory 512",
        compiled(&place, "liar").component.display()
    );
    place.x2nix(&words).exits(2).says("more memory than the 512 MiB");
}

#[test]
fn what_is_no_document_is_named_with_its_place_and_kept() {
    for (root, words) in [
        ("utf-8", "at `environment.name`: invalid unicode code point"),
        ("surrogate", "at `environment.name`: unexpected end of hex escape"),
        ("words", "expected value at line 1 column 1"),
        ("half", "EOF while parsing"),
        ("two", "trailing characters"),
        ("empty", "EOF while parsing a value"),
        ("huge", "at `roots[0].need`: "),
        ("type", "at `roots[0].need.any[0].set`: invalid type: string \"one\", expected u32"),
        ("nest", "at `dictionary.names[0].text`: invalid type: sequence, expected a string"),
        ("missing", "at `dictionary.names[0]`: missing field `text`"),
    ] {
        let place = Place::new();
        for (carrier, run) in lies(&place, root) {
            let text = run.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
            let component = root == "utf-8" && !carrier.contains("native");
            let all = if component {
                // It is no text for the component model either.
                ["plugin::crash", "call `open`: invalid utf-8 sequence of 1 bytes", ""]
            } else {
                ["plugin::answer", "call `open`: the answer is not the document", words]
            };
            for said in all {
                assert!(text.contains(said), "{root}, {carrier}: {said}: {text}");
            }
            assert!(text.contains("--replay"), "{root}, {carrier}: {text}");
        }
        assert!(!place.names(".cache/x2nix/failures").is_empty(), "{root}");
    }
}

#[test]
fn a_plugin_that_contradicts_itself_is_named() {
    let place = Place::new();
    // It remembers that it was asked before only where it runs in this very process.
    let (carrier, run) = lies_with(&place, "words", &[("LIAR_CHANGES", "1")]).nth(1).unwrap();
    let said =
        "call `describe`: it described itself otherwise before: the same question has two answers";
    assert!(run.stderr.contains(said), "{carrier}: {}", run.stderr);
    for root in ["other-version", "other-bucket", "other-name", "too-few"] {
        let plugin = format!("--plugin {}", hostile_plugin().component.display());
        let run = hostile_run(&place, root, &plugin).exits(2);
        let said = match root {
            "other-name" => "facts: name 0 is due, 1 came",
            "too-few" => "facts: as many packages as names are due",
            _ => "details: ",
        };
        for said in ["plugin::protocol", "x2nix_hostile_plugin.wasm", said] {
            assert!(run.stderr.contains(said), "{root}: {said}: {}", run.stderr);
        }
    }
}

#[test]
fn a_plugin_that_computes_is_interrupted_when_the_request_is_cancelled() {
    let isolate = Some(vec![env!("CARGO_BIN_EXE_x2nix").into(), "plugin-serve".into()]);
    let limits = Limits { time: Duration::from_hours(1), ..Limits::default() };
    let loader = Loader { limits, isolate, ..Loader::default() };
    for file in [&hostile_plugin().component, &hostile_plugin().native] {
        let plugin = loader.load(&loader.read(file).unwrap()).unwrap();
        let cancel = Cancel::default();
        let host = cancel.host(Arc::new(Inputs::new()));
        let canceller = thread::spawn(move || {
            thread::sleep(Duration::from_millis(200));
            cancel.cancel();
        });
        let platforms = vec!["x86_64-linux".to_owned()];
        let request = Request { platforms, roots: vec!["loop".into()], ..Request::default() };
        let result = resolve(&plugin, &host, &request);
        let Err(Failure::Refused(error)) = result else { panic!("{result:?}") };
        assert_eq!(error.code, "request::cancelled");
        canceller.join().unwrap();
    }
}
