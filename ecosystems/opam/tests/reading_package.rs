//! The fields of a package: what they mean, what may be left out, and what is refused.

use x2nix_opam::filter::{Scope, Value, Variable};
use x2nix_opam::package::checksum::{Checksum, ChecksumKind};
use x2nix_opam::package::name::{check_name, check_version, split_package};
use x2nix_opam::package::{Flag, OpamFile};
use x2nix_opam::syntax::{EnvOp, Error, ValueKind};

/// A file whose text is never freed, so that it is one type for all the accessors.
type File = OpamFile<'static>;

/// What a function makes of a file that has these fields.
fn of<T>(fields: &str, read: impl Fn(&File) -> Result<T, Error>) -> Result<T, Error> {
    let text: &'static str = format!("opam-version: \"2.0\"\n{fields}").leak();
    read(&OpamFile::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{fields}: {error}")))
}

fn read<T>(fields: &str, read: impl Fn(&File) -> Result<T, Error>) -> T {
    of(fields, read).unwrap_or_else(|error| panic!("{fields}: {error}"))
}

fn refused<T>(fields: &str, read: impl Fn(&File) -> Result<T, Error>) {
    match of(fields, read) {
        Ok(_) => panic!("{fields} is read"),
        Err(error) => {
            assert_eq!(error.code(), "opam::field", "{fields}");
            assert_eq!(error.position.line, 2, "{fields}: {error}");
        }
    }
}

fn linux(variable: &Variable<'_>) -> Option<Value> {
    match (variable.scope, variable.name) {
        (Scope::Global, "os") => Some(Value::String("linux".to_owned())),
        (Scope::Global, "ocaml-version") => Some(Value::String("4.14.1".to_owned())),
        _ => None,
    }
}

#[test]
fn names_and_versions() {
    for good in ["a", "0install", "ocaml-base-compiler", "a+b", "_a", "-a", "A"] {
        assert!(check_name(good).is_ok(), "{good}");
    }
    for bad in ["", "1", "-", "a/b", "..", "a.b", "a b", "../a", "é", "a\0", "a:b", "~a"] {
        assert!(check_name(bad).is_err(), "{bad}");
    }
    for good in ["1", "1.0~rc1+x-2", "dev", "v0.17_a"] {
        assert!(check_version(good).is_ok(), "{good}");
    }
    for bad in ["", "1/2", "1 2", "é", "1:2", "1\n"] {
        assert!(check_version(bad).is_err(), "{bad}");
    }
    assert_eq!(split_package("a-b.1.0"), Some(("a-b", "1.0")));
    assert_eq!(split_package("a"), None);
    assert_eq!(split_package("a."), None);
    assert_eq!(read("name: \"a\"", OpamFile::name).as_deref(), Some("a"));
    assert_eq!(read("version: \" 1.0\\n\"", OpamFile::version).as_deref(), Some("1.0"));
    refused("name: \"../a\"", OpamFile::name);
    refused("name: a", OpamFile::name);
    refused("version: \"1/2\"", OpamFile::version);
}

#[test]
fn checksums() {
    let md5 = "D41D8CD98F00B204E9800998ECF8427E";
    let checksum = Checksum::parse(md5).expect("an MD5");
    assert_eq!((checksum.kind, &*checksum.hex), (ChecksumKind::Md5, &*md5.to_lowercase()));
    assert_eq!(Checksum::parse(&format!("md5={md5}")), Some(checksum));
    let sha256 = format!("sha256={}", "ab".repeat(32));
    assert_eq!(Checksum::parse(&sha256).expect("a SHA-256").to_string(), sha256);
    let sha512 = format!("SHA512={}", "0".repeat(128));
    assert_eq!(Checksum::parse(&sha512).expect("a SHA-512").kind, ChecksumKind::Sha512);
    assert!(ChecksumKind::Md5 < ChecksumKind::Sha512);
    for bad in ["", "md5=", "sha1=00", "sha256=00", "md5=zz1d8cd98f00b204e9800998ecf8427e"] {
        assert_eq!(Checksum::parse(bad), None, "{bad}");
    }
}

#[test]
fn descriptions() {
    let fields = "synopsis: \" short \" description: \"\"\"\n long\n\"\"\"";
    assert_eq!(read(fields, OpamFile::synopsis).as_deref(), Some("short"));
    assert_eq!(read(fields, OpamFile::description).as_deref(), Some("long"));
    let fields = "descr: \"\"\"short\nlong\nlonger\"\"\" synopsis: \"other\"";
    assert_eq!(read(fields, OpamFile::synopsis).as_deref(), Some("short"));
    assert_eq!(read(fields, OpamFile::description).as_deref(), Some("long\nlonger"));
    assert_eq!(read("description: \"\"", OpamFile::description), None);
    refused("synopsis: [\"a\"]", OpamFile::synopsis);
}

#[test]
fn lists_of_strings() {
    let one = |fields, read_field: fn(&File) -> Result<Vec<Box<str>>, Error>| {
        read(fields, read_field).join(",")
    };
    assert_eq!(one("maintainer: \"a\"", OpamFile::maintainer), "a");
    assert_eq!(one("authors: [\"a\" \"b\"]", OpamFile::authors), "a,b");
    assert_eq!(one("author: \"c\"", OpamFile::authors), "c");
    assert_eq!(one("authors: \"a\" author: \"c\"", OpamFile::authors), "a");
    assert_eq!(one("license: [\"MIT\"]", OpamFile::license), "MIT");
    assert_eq!(one("license: \"MIT\" license: \"ISC\"", OpamFile::license), "MIT");
    assert_eq!(one("", OpamFile::tags), "");
    assert_eq!(one("conflict-class: \"c\"", OpamFile::conflict_class), "c");
    assert_eq!(one("substs: [\"a.ml\"]", OpamFile::substs), "a.ml");
    refused("tags: [a]", OpamFile::tags);
    refused("tags: [[\"a\"]]", OpamFile::tags);
    refused("conflict-class: \"a/b\"", OpamFile::conflict_class);
}

#[test]
fn flags() {
    let fields = "flags: [compiler unknown avoid-version] tags: [\"flags:conf\" \"org:x\"]";
    assert_eq!(read(fields, OpamFile::flags), [Flag::Compiler, Flag::AvoidVersion, Flag::Conf]);
    assert!(read(fields, OpamFile::avoid));
    assert!(read("flags: deprecated", OpamFile::avoid));
    assert!(!read("flags: plugin", OpamFile::avoid));
    refused("flags: \"conf\"", OpamFile::flags);
}

#[test]
fn availability() {
    let available = |fields| read(fields, OpamFile::available).eval(&linux, false);
    assert!(available(""));
    assert!(available("available: []"));
    assert!(available("available: [os = \"linux\"]"));
    // What opam 1.2 had for the same.
    assert!(available("ocaml-version: [>= \"4.08\" & < \"5\"]"));
    assert!(!available("ocaml-version: [!(>= \"4.08\" & < \"5\")]"));
    assert!(available("os: [\"linux\" \"macos\"]"));
    assert!(available("os: !\"macos\""));
    assert!(!available("os: [!\"linux\" & !\"macos\"] available: true"));
    assert!(!available("ocaml-version: [< \"5\"] available: os = \"macos\""));
    assert_eq!(
        read("available: os != \"x\" ocaml-version: > \"4\" os: \"linux\"", OpamFile::available)
            .to_string(),
        "os = \"linux\" & ocaml-version > \"4\" & os != \"x\""
    );
    refused("available: >= \"1\"", OpamFile::available);
    refused("os: 1", OpamFile::available);
}

#[test]
fn sources() {
    let md5 = "d41d8cd98f00b204e9800998ecf8427e";
    let url = |inside: &str| read(&format!("url {{ {inside} }}"), OpamFile::url).expect("sources");
    let source = url(&format!(
        "src: \"https://a/b.tgz\" checksum: [\"md5={md5}\" \"{md5}\"] mirrors: \"https://c/b.tgz\""
    ));
    assert_eq!(&*source.src, "https://a/b.tgz");
    assert_eq!(source.mirrors.join(","), "https://c/b.tgz");
    assert_eq!(source.checksums.len(), 2);
    assert_eq!(source.position.line, 2);
    assert_eq!(&*url("archive: \"https://a/b.tgz\"").src, "https://a/b.tgz");
    assert_eq!(&*url("git: \"https://a/b.git#c\"").src, "git+https://a/b.git#c");
    assert_eq!(&*url("git: \"git+https://a/b.git\"").src, "git+https://a/b.git");
    assert_eq!(read("", OpamFile::url), None);
    refused("url { }", OpamFile::url);
    refused("url \"title\" { src: \"a\" }", OpamFile::url);
    refused("url { src: \"a\" http: \"b\" }", OpamFile::url);
    refused("url { src: \"a\" checksum: \"sha1=00\" }", OpamFile::url);
    refused("url { src: \"a\" subpath: \"b\" }", OpamFile::subpath);
    assert_eq!(read("x-subpath: \"./a/b\"", OpamFile::subpath).as_deref(), Some("a/b"));

    let fields = format!(
        "extra-source \"a.patch\" {{ src: \"u\" checksum: \"{md5}\" }} extra-source \"b\" {{ src: \"v\" }}
         extra-source \"a.patch\" {{ src: \"w\" }}"
    );
    let extra = read(&fields, OpamFile::extra_sources);
    let extra: Vec<_> = extra.iter().map(|it| (&*it.name, &*it.source.src)).collect();
    assert_eq!(extra, [("a.patch", "u"), ("b", "v")]);
    let fields =
        format!("extra-sources: [[\"https://a/b.patch\" \"{md5}\"] [\"v\" {{\"c\"}} \"{md5}\"]]");
    let extra = read(&fields, OpamFile::extra_sources);
    let extra: Vec<_> = extra.iter().map(|it| (&*it.name, &*it.source.src)).collect();
    assert_eq!(extra, [("b.patch", "https://a/b.patch"), ("c", "v")]);
    refused("extra-source { src: \"u\" }", OpamFile::extra_sources);

    let files = read(&format!("extra-files: [\"a\" \"{md5}\"]"), OpamFile::extra_files);
    assert_eq!(&*files[0].0, "a");
    let files =
        read(&format!("extra-files: [[\"a\" \"{md5}\"] [\"b\" \"{md5}\"]]"), OpamFile::extra_files);
    assert_eq!(files.len(), 2);
    refused("extra-files: [[\"a\"]]", OpamFile::extra_files);
}

#[test]
fn environments() {
    let updates = |value: &str| -> Vec<(String, EnvOp, String)> {
        let updates = read(&format!("setenv: {value}"), OpamFile::setenv);
        updates.iter().map(|it| (it.variable.to_string(), it.op, it.value.to_string())).collect()
    };
    let a = ("A".to_owned(), EnvOp::Eq, "x".to_owned());
    let b = ("B".to_owned(), EnvOp::PlusEq, "y".to_owned());
    assert_eq!(updates("A = \"x\""), std::slice::from_ref(&a));
    assert_eq!(updates("[A = \"x\"]"), std::slice::from_ref(&a));
    assert_eq!(updates("[[A = \"x\"] [B += \"y\"]]"), [a.clone(), b.clone()]);
    assert_eq!(updates("[[A = \"x\"] B += \"y\"]"), [a, b]);
    for bad in ["[A = \"x\" B = \"y\"]", "[A != \"x\"]", "[A = b]", "[\"A\" = \"b\"]", "A"] {
        refused(&format!("setenv: {bad}"), OpamFile::setenv);
    }
}

#[test]
fn filtered_lists() {
    let patches = read("patches: [\"a\" \"b\" {os = \"linux\"}]", OpamFile::patches);
    assert_eq!((&*patches[0].value, patches[0].filter.is_none()), ("a", true));
    assert!(patches[1].filter.as_ref().is_some_and(|filter| filter.eval(&linux, false)));
    let messages = read("post-messages: \" a \" {failure}", OpamFile::post_messages);
    assert_eq!((&*messages[0].value, messages[0].filter.is_some()), ("a", true));
    refused("patches: [\"a\" {b c}]", OpamFile::patches);

    let depexts =
        read("depexts: [[\"a\" \"b\"] {os = \"linux\"} [\"c\"] {os = \"x\"}]", OpamFile::depexts);
    let on: Vec<bool> = depexts.iter().map(|it| it.filter.eval(&linux, false)).collect();
    assert_eq!((depexts[0].names.join(","), on), ("a,b".to_owned(), vec![true, false]));
    let depexts =
        read("depexts: [[[\"debian\" \"arm\"] [\"a\"]] [[\"x\"] [\"b\"]]]", OpamFile::depexts);
    assert_eq!(depexts[0].names.join(","), "a");
    assert_eq!(depexts[0].filter.to_string(), "\"debian\" & \"arm\"");
    refused("depexts: [1]", OpamFile::depexts);
}

#[test]
fn the_rest() {
    let features =
        read("features: [f {\"a\" & \"b\" {> \"1\"}} {\"what for\"}]", OpamFile::features);
    assert_eq!((&*features[0].variable, &*features[0].documentation), ("f", "what for"));
    assert_eq!(features[0].packages.atoms().len(), 2);
    refused("features: [f {\"a\"}]", OpamFile::features);
    let pins = read("pin-depends: [\"a.1.0\" \"git+https://a\"]", OpamFile::pin_depends);
    assert_eq!((&*pins[0].name, &*pins[0].version, &*pins[0].url), ("a", "1.0", "git+https://a"));
    refused("pin-depends: [[\"a\" \"u\"]]", OpamFile::pin_depends);
    let tests = read("build-test: [\"a\"] run-test: [[\"b\"]]", OpamFile::run_test);
    assert_eq!(tests.len(), 2);
    assert_eq!(
        read("dev-repo: \"git+https://a\"", OpamFile::dev_repo).as_deref(),
        Some("git+https://a")
    );
    refused("build: [[\"a\"] \"b\"]", OpamFile::build);
    refused("build: [[a = \"b\"]]", OpamFile::build);

    let text = b"opam-version: \"2.0\" x-a: 1 what: 1 depends: \"a\" depends: \"b\" x-a: 2 odd {} url {} url {}";
    let file = OpamFile::parse(text).expect("a file");
    let warnings: Vec<String> = file.warnings().iter().map(|it| it.message.to_string()).collect();
    assert_eq!(
        warnings,
        [
            "the field `what` is unknown",
            "the field `depends` is given again, and ignored",
            "the section `odd` is unknown",
            "the section `url` is given again, and ignored",
        ]
    );
    assert_eq!(file.extensions().count(), 2);
    assert!(file.extension("x-a").is_some_and(|value| value.kind == ValueKind::Int(2)));
    assert_eq!(file.depends().expect("depends").atoms()[0].name.as_ref(), "a");
    assert_eq!(file.position("depends").map(|position| position.line), Some(1));
}
