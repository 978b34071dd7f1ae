//! Every kind of source that an opam file can have.

use super::{build, place, resolve, run, x2nix};

/// The same two files in every form in which opam takes them, below `archives`.
const ARCHIVES: &str = "
    mkdir -p top/sub archives more
    echo one > top/a; echo two > top/sub/b
    for kind in gz bz2 xz zst lzma; do tar --sort=name --mtime=@1 -caf archives/x.tar.$kind top; done
    mv archives/x.tar.gz archives/x.tgz; mv archives/x.tar.bz2 archives/x.tbz
    mv archives/x.tar.xz archives/x.txz; mv archives/x.tar.lzma archives/x.tlz
    tar --sort=name --mtime=@1 -cf archives/x.tar top
    tar --sort=name --mtime=@1 -cf archives/flat.tar -C top a sub
    touch -d @1 top/a top/sub/b; zip -qrX archives/x.zip top
    cp archives/x.tgz archives/x
    echo alone > archives/alone.ml
    echo extra > archives/extra.txt";

/// `url` with the checksums of these kinds.
fn url(place: &super::Place, file: &str, kinds: &[&str]) -> String {
    let sums = kinds.iter().map(|kind| {
        let sum = run(place, &format!("{kind}sum archives/{file} | cut -d' ' -f1"));
        let kind = kind.strip_suffix(".").unwrap_or(kind);
        format!("\"{kind}={sum}\"")
    });
    let sums = sums.collect::<Vec<_>>().join(" ");
    format!(
        "src: \"https://host.invalid/{file}\" mirrors: [\"https://mirror.invalid/{file}\"] checksum: [{sums}]"
    )
}

#[test]
fn archives_of_every_kind_are_unpacked_as_opam_does() {
    let Some(place) = place(&[]) else { return };
    run(&place, ARCHIVES);
    let both = "test $(cat a) = one && test $(cat sub/b) = two && test $(ls | wc -l) = 2";
    let mut packages = Vec::new();
    for (name, file) in [
        ("gz", "x.tgz"),
        ("bz2", "x.tbz"),
        ("xz", "x.txz"),
        ("zst", "x.tar.zst"),
        ("lzma", "x.tlz"),
        ("tar", "x.tar"),
        ("zip", "x.zip"),
        ("flat", "flat.tar"),
        ("unnamed", "x"),
    ] {
        packages.push((name, url(&place, file, &["sha256"]), "", both));
    }
    packages.push(("md5", url(&place, "x.tgz", &["md5"]), "", both));
    packages.push(("several", url(&place, "x.tgz", &["md5", "sha512", "sha256"]), "", both));
    let alone = "test $(cat alone.ml) = alone";
    packages.push(("alone", url(&place, "alone.ml", &["sha512"]), "", alone));
    let inside = "test $(cat b) = two && ! test -e a";
    packages.push(("inside", url(&place, "x.tgz", &["sha256"]), "x-subpath: \"sub\"", inside));
    let extra = url(&place, "extra.txt", &["sha256"]);
    let extra = format!("extra-source \"sub/more.txt\" {{ {extra} }}");
    let with_extra = "test $(cat sub/more.txt) = extra && test $(cat sub/b) = two";
    packages.push(("extra", url(&place, "x.tgz", &["sha256"]), &extra, with_extra));
    for (name, url, more, check) in &packages {
        place.write(
            &format!("repo/packages/{name}/{name}.1/opam"),
            format!("opam-version: \"2.0\"\nbuild: [\"sh\" \"-exc\" \"{check}\"]\n{more}\nurl {{ {url} }}\n"),
        );
    }
    let names: Vec<&str> = packages.iter().map(|(name, ..)| *name).collect();
    resolve(&place, &names).exits(0);
    x2nix(&place, "fetch --offline --from archives").exits(0);
    for name in names {
        if let Err(said) = build(&place, name) {
            panic!("{name}: {said}");
        }
    }
}

/// The order of the reference (`OpamAction.prepare_package_build`): `substs` that are patches, the patches,
/// the other `substs`; patches are chosen by filters, and one of them by what only the build knows.
#[test]
fn patches_and_substitutions_come_in_the_order_of_the_reference() {
    let Some(place) = place(&[
        (
            "tool.1",
            "build: [\"sh\" \"-c\" \"printf 'opam-version: \\\"2.0\\\"\\nvariables { new: true old: false }\\n' > tool.config\"]",
        ),
        (
            "a.1",
            r#"
            depends: ["tool"]
            substs: ["told" "first.patch"]
            patches: [
              "first.patch"
              "never.patch" {os = "none"}
              "new.patch" {tool:new}
              "old.patch" {tool:old}
              "last.patch" {os = "linux"}
            ]
            build: ["sh" "-exc" "test \"$(cat text)\" = 'one a new last' && test \"$(cat told)\" = '1 linux' && grep -q never.patch %{opamfile}%"]
            "#,
        ),
    ]) else {
        return;
    };
    let files = "repo/packages/a/a.1/files";
    let patch =
        |old: &str, new: &str| format!("--- a/text\n+++ b/text\n@@ -1 +1 @@\n-{old}\n+{new}\n");
    place.write(&format!("{files}/text"), "one\n");
    place.write(&format!("{files}/told.in"), "%{version}% %{os}%\n");
    place.write(&format!("{files}/first.patch.in"), patch("one", "one %{name}%"));
    place.write(&format!("{files}/never.patch"), "no patch");
    place.write(&format!("{files}/new.patch"), patch("one a", "one a new"));
    place.write(&format!("{files}/old.patch"), patch("one a new", "one a old"));
    place.write(&format!("{files}/last.patch"), patch("one a new", "one a new last"));
    resolve(&place, &["a"]).exits(0);
    if let Err(said) = build(&place, "a") {
        panic!("{said}");
    }
}
