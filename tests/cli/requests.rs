//! What a user can ask for.

use crate::support::{Place, Run};

const VERSIONS: &[(&str, &str)] =
    &[("b.1", ""), ("b.2", ""), ("b.3~rc1", ""), ("b.3", "flags: avoid-version"), ("alone.1", "")];

#[test]
fn roots_take_every_bound() {
    let place = Place::with(VERSIONS);
    for (root, answer) in [
        ("b", "b.3~rc1"),
        ("b=2", "b.2"),
        ("b.2", "b.2"),
        ("b.3", "b.3"),
        ("b=2.0", "UNSAT"),
        ("b=02", "b.2"),
        ("b>=2", "b.3~rc1"),
        ("b>3~rc1", "b.3"),
        ("b>3", "UNSAT"),
        ("b<2", "b.1"),
        ("b<=2", "b.2"),
        ("b<3~", "b.2"),
        ("b<3", "b.3~rc1"),
        ("b!=3~rc1", "b.2"),
    ] {
        assert_eq!(place.answer(&format!("--root {root}")), answer, "--root {root}");
    }
    assert_eq!(place.answer("--root b>=2 --root b<3~ --root alone"), "alone.1 b.2");
    assert_eq!(place.answer("--root b=1 --root b=2"), "UNSAT");
}

#[test]
fn spaces_around_a_bound_are_no_mistake() {
    let place = Place::with(VERSIONS);
    let mut command = place.command("resolve --ecosystem opam --repo repo --dry-run --root");
    Run::of(command.arg("b >= 2")).exits(0).answers("b 3~rc1\n");
}

#[test]
fn policies_say_what_is_good() {
    let place = Place::with(VERSIONS);
    assert_eq!(place.answer("--root b --prefer newest"), "b.3~rc1");
    assert_eq!(place.answer("--root b --prefer oldest"), "b.1");
    place
        .resolve("--repo repo --root b --prefer shiniest --dry-run")
        .exits(2)
        .says("there is no policy \"shiniest\"")
        .says("newest, oldest");
}

#[test]
fn a_project_is_its_opam_files_wherever_opam_looks_for_them() {
    let packages = [("b.1", ""), ("c.1", "")];
    for (file, name) in [
        ("shop.opam", "shop"),
        ("opam/shop.opam", "shop"),
        ("opam", "shelf"),
        ("opam/opam", "shelf"),
        (".opam", "shelf"),
    ] {
        let place = Place::with(&packages);
        place.write(&format!("shelf/{file}"), "opam-version: \"2.0\"\ndepends: [\"b\"]\n");
        assert_eq!(place.answer("shelf"), format!("b.1 {name}.dev"), "{file}");
    }

    let place = Place::with(&packages);
    place.write("opam", "opam-version: \"2.0\"\nname: \"told\"\nversion: \"4\"\n");
    assert_eq!(place.answer(""), "told.4");
    // Names are added to a project if its folder is given, and stand alone if it is not.
    assert_eq!(place.answer("--root b ."), "b.1 told.4");
    assert_eq!(place.answer("--root b"), "b.1");

    // Several packages may need each other, and win over what a repository has of that name.
    let place = Place::with(&packages);
    place.write("b.opam", "opam-version: \"2.0\"\n");
    place.write("a.opam", "opam-version: \"2.0\"\ndepends: [\"b\" {= version} \"c\"]\n");
    assert_eq!(place.answer(""), "a.dev b.dev c.1");
}

#[test]
fn tests_and_documentation_are_those_of_the_requested_packages() {
    let needs =
        |deeper: &str| format!("depends: [{deeper} \"t\" {{with-test}} \"d\" {{with-doc}}]");
    let place = Place::with(&[
        ("top.1", &needs("\"deep\"")),
        ("deep.1", &needs("\"deepest\"")),
        ("deepest.1", "depends: [\"u\" {with-test} \"e\" {with-doc}]"),
        ("t.1", ""),
        ("d.1", ""),
        ("u.1", ""),
        ("e.1", ""),
    ]);
    assert_eq!(place.answer("--root top"), "deep.1 deepest.1 top.1");
    assert_eq!(place.answer("--root top --with-test"), "deep.1 deepest.1 t.1 top.1");
    assert_eq!(place.answer("--root top --with-doc"), "d.1 deep.1 deepest.1 top.1");
    assert_eq!(
        place.answer("--root top --root deepest --with-test --with-doc"),
        "d.1 deep.1 deepest.1 e.1 t.1 top.1 u.1"
    );
    place.write("shop.opam", "opam-version: \"2.0\"\ndepends: [\"deepest\" \"t\" {with-test}]\n");
    assert_eq!(place.answer("--with-test"), "deepest.1 shop.dev t.1");
}

#[test]
fn the_environment_replaces_exactly_the_given_keys() {
    let place = Place::with(&[
        ("nix.1", "available: os-distribution = \"nixos\""),
        ("deb.1", "available: os-distribution = \"debian\" & os-family = \"nixos\""),
        ("told.1", "available: ?os-distribution & ?opam-version & arch = \"x86_64\""),
        ("mine.1", "available: mood = \"good\""),
        ("yes.1", "available: lucky"),
    ]);
    assert_eq!(place.answer("--root nix --root told"), "nix.1 told.1");
    assert_eq!(place.answer("--root deb"), "UNSAT");
    assert_eq!(place.answer("--root deb --root told --env os-distribution=debian"), "deb.1 told.1");
    assert_eq!(place.answer("--root nix --env os-distribution=debian"), "UNSAT");
    assert_eq!(place.answer("--root told --env os-distribution="), "UNSAT");
    assert_eq!(place.answer("--root told --env arch=arm64"), "UNSAT");
    assert_eq!(place.answer("--root mine"), "UNSAT");
    assert_eq!(place.answer("--root mine --env mood=good"), "mine.1");
    assert_eq!(place.answer("--root yes --env lucky=true"), "yes.1");
    assert_eq!(place.answer("--root yes --env lucky=false"), "UNSAT");
    let document = place.resolve("--repo repo --root mine --env mood=good --dry-run --format=json");
    let environment = &document.json()["environment"];
    assert_eq!(environment["mood"], "good");
    assert_eq!(environment["os-family"], "nixos");
    place.resolve("--repo repo --root mine --env mood --dry-run").exits(2).says("KEY=VALUE");
}

#[test]
fn of_several_repositories_the_first_has_the_word_on_a_version() {
    let place = Place::new();
    place.repository("mine", &[("b.2", "depends: \"c\""), ("c.1", "")]);
    place.archive(
        "theirs.tar.gz",
        &[("b.2", "depends: \"d\""), ("b.1", "depends: \"d\""), ("d.1", "")],
    );
    let answer = |words: &str| place.resolve(&format!("{words} --dry-run --format json")).answer();
    assert_eq!(answer("--root b --repo mine --repo theirs.tar.gz"), "b.2 c.1");
    assert_eq!(answer("--root b --repo theirs.tar.gz --repo mine"), "b.2 d.1");
    assert_eq!(answer("--root b<2 --repo mine --repo theirs.tar.gz"), "b.1 d.1");

    // Messages say whose file they mean.
    place.repository("broken", &[("b.3", "depends: [")]);
    place
        .resolve("--root b --repo mine --repo broken --dry-run")
        .exits(0)
        .says("broken:packages/b/b.3/opam:");
}

#[test]
fn platforms_are_answered_in_one_lock() {
    let place = Place::with(&[
        ("net.1", "depends: [\"epoll\" {os = \"linux\"} \"kqueue\" {os = \"macos\"}]"),
        ("epoll.1", "available: os = \"linux\""),
        ("kqueue.1", "available: os = \"macos\""),
    ]);
    let words = "resolve --ecosystem opam --repo repo --root net --platform x86_64-linux \
                 --platform aarch64-darwin";
    place.x2nix(words).exits(0);
    let lock: serde_json::Value = serde_json::from_str(&place.read("x2nix.lock.json")).unwrap();
    let packages = |platform: &str| lock["platforms"][platform]["packages"].clone();
    assert_eq!(packages("x86_64-linux"), serde_json::json!(["epoll@1", "net@1"]));
    assert_eq!(packages("aarch64-darwin"), serde_json::json!(["kqueue@1", "net@1"]));
    place.x2nix("tree --platform aarch64-darwin").exits(0).answers("net 1\n  kqueue 1\n");
    place.x2nix("tree --platform x86_64-linux").exits(0).answers("net 1\n  epoll 1\n");
    place
        .x2nix("tree --platform s390x-linux")
        .exits(2)
        .says("it has: aarch64-darwin, x86_64-linux");
    place.x2nix("check").exits(0);

    let run = place.x2nix(&format!("{words} --dry-run --format json")).exits(0);
    let document = run.json();
    assert_eq!(run.answer(), "epoll.1 kqueue.1 net.1");
    assert_eq!(document["packages"][0]["platforms"], serde_json::json!(["x86_64-linux"]));
    place.x2nix(&format!("{words} --platform plan9 --dry-run")).exits(2).says("\"plan9\"");
}

#[test]
fn settings_name_repositories_and_what_nixpkgs_provides() {
    let place = Place::new();
    place.repository(
        "shop/stock",
        &[
            ("ocaml-system.5.3.0", "available: sys-ocaml-version = \"5.3.0\""),
            ("ocaml-system.5.4.0", "available: sys-ocaml-version = \"5.4.0\""),
            ("tool.1", ""),
            ("tool.2", ""),
        ],
    );
    place.repository("other", &[("tool.3", ""), ("ocaml-system.5.3.0", "")]);
    place.write(
        "shop/x2nix.toml",
        "repositories = [\"stock\"]\n[provided.ocaml-system]\nversion = \"5.3.0\"\nattribute = \"ocaml\"\n\
         [provided.only-in-nixpkgs]\nversion = \"7\"\n",
    );
    place.write(
        "shop/shop.opam",
        "opam-version: \"2.0\"\ndepends: [\"ocaml-system\" \"tool\" \"only-in-nixpkgs\" {>= \"6\"}]\n",
    );
    let all = "ocaml-system.5.3.0 only-in-nixpkgs.7 shop.dev tool.2";
    let dry = |words: &str| place.resolve(&format!("{words} --dry-run --format json")).answer();
    assert_eq!(dry("shop"), all);
    assert_eq!(dry("shop --repo other"), all.replace("tool.2", "tool.3"));
    place.resolve("shop").exits(0);
    let lock: serde_json::Value =
        serde_json::from_str(&place.read("shop/x2nix.lock.json")).unwrap();
    assert_eq!(lock["inputs"][1]["location"], "stock");
    assert_eq!(lock["units"]["ocaml-system@5.3.0"]["recipe"]["attribute"], "ocaml");
}

#[test]
fn no_root_is_too_little() {
    let place = Place::with(VERSIONS);
    place.resolve("--repo repo").exits(2).says("opam::no-roots").says("--root lwt");
    place.resolve("--root b").exits(2).says("request::repository").says("--repo DIR");
}

#[test]
fn roots_that_are_no_packages_are_refused() {
    let place = Place::with(VERSIONS);
    for root in ["../x", "/etc", "b=", "b>=", "=1", "b==1", "b~>1", "b,c", "1", "b\u{e9}"] {
        let run = place.resolve(&format!("--repo repo --root {root} --dry-run")).exits(2);
        run.says("opam::root").says("lwt>=5.6");
    }
    let mut command = place.command("resolve --ecosystem opam --repo repo --dry-run --root");
    Run::of(command.arg("")).exits(2).says("opam::root");
}

#[test]
fn a_sweep_asks_for_every_package_and_goes_on_where_it_was_ended() {
    let place = Place::with(&[
        ("good.1", ""),
        ("base.1", ""),
        ("bad.1", "depends: [\"base\" {>= \"2\"}]"),
        ("odd.1", "depends: 3"),
    ]);
    let sweep =
        |words: &str| place.x2nix(&format!("sweep --ecosystem opam --repo repo {words}")).exits(0);
    let status_of = |lines: &str| -> Vec<String> {
        let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap());
        lines
            .map(|line: serde_json::Value| {
                format!("{} {}", line["name"], line["status"]).replace('"', "")
            })
            .collect()
    };
    let all = ["bad unsolvable", "base solved", "good solved", "odd unsolvable"];
    assert_eq!(status_of(&sweep("--format jsonl").stdout), all);
    // The last line was being written when the machine was switched off.
    place
        .write("lines", "{\"name\":\"base\",\"status\":\"refused\",\"seconds\":1}\n{\"name\":\"go");
    sweep("--output lines").answers("4 packages: 1 solved and verified (1 optimal");
    assert_eq!(status_of(&sweep("--output lines --format jsonl").stdout)[1], "base refused");
    assert_eq!(sweep("--format json").json()["unsolvable"], 2);
}

#[test]
fn packages_that_are_only_named_do_not_replace_a_project_and_changes_are_counted() {
    let place = Place::with(&[("a.1", ""), ("a.2", ""), ("b.1", "depends: [\"a\"]")]);
    place.write("my.opam", "opam-version: \"2.0\"\ndepends: [\"b\" \"a\" {= \"1\"}]\n");
    let run = place.resolve("--repo repo .").exits(0);
    assert!(run.stderr.contains("packages locked in ./x2nix.lock.json; build"), "{}", run.stderr);
    let before = place.read("x2nix.lock.json");
    place.resolve("--repo repo --root a").exits(2).says("request::other-lock").says("--lock FILE");
    assert_eq!(place.read("x2nix.lock.json"), before);
    place.resolve("--repo repo --root a --dry-run").exits(0).answers("a 1");
    place.resolve("--repo repo --root a --lock other.json --nix other.nix").exits(0);
    place.write("my.opam", "opam-version: \"2.0\"\ndepends: [\"a\"]\n");
    let run = place.resolve("--repo repo --update .").exits(0);
    assert!(run.stderr.contains("(1 gone, 1 in another version)"), "{}", run.stderr);
}

#[test]
fn a_unikernel_without_a_target_is_asked_for_one() {
    let place = Place::with(&[("a.1", "")]);
    place.write("config.ml", "let () = ()\n");
    place.resolve("--repo repo .").exits(2).says("opam::no-roots").says("give --target spt");
}
