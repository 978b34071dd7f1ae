//! The NixOS module: what it makes of configurations. `tests/nixos` says how to have it evaluated with the
//! real lib of nixpkgs; here it is that of the tests, which gives the same.

use crate::support::Project;
use serde_json::{Value, json};

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/nixos");

fn cases() -> Option<Value> {
    let project = Project::new()?;
    let lib = std::env::var("X2NIX_NIXPKGS_LIB").map_or_else(
        |_| String::new(),
        |lib| format!("--arg lib 'import {}'", x2nix_nix::escape::nix_string(&lib)),
    );
    let command = "nix-instantiate --eval --strict --json -A cases";
    Some(serde_json::from_str(&project.run(&format!("{command} '{CASES}' {lib}"))).unwrap())
}

#[test]
fn unikernels_become_confined_services() {
    let Some(cases) = cases() else { return };
    assert_eq!(cases["none"], json!({ "services": {}, "failed": [] }));

    let dns = &cases["dns"];
    assert_eq!(dns["failed"], json!([]));
    let services = dns["services"].as_object().unwrap();
    assert_eq!(services.keys().collect::<Vec<_>>(), ["unikernel-dns"], "what is off has none");
    let service = &services["unikernel-dns"]["serviceConfig"];
    let start = service["ExecStart"].as_str().unwrap();
    for word in [
        "/store/solo5/bin/solo5-hvt",
        "--mem=64",
        "--net:service=dns-service",
        "/store/dns/dns.hvt",
        r"'it'\''s'",
    ] {
        assert!(start.contains(word), "{word} is not in {start}");
    }
    assert!(
        start.contains("--block:cache=/dev/vg/cache")
            && start.contains("--block:zones=/run/unikernel-dns/zones.img")
    );
    let before = service["ExecStartPre"].to_string();
    assert!(before.contains("/store/zones.tar") && before.contains("master br0"), "{before}");
    assert_eq!(
        service["DeviceAllow"],
        json!(["/dev/kvm rw", "/dev/net/tun rw", "/dev/vg/cache rw"])
    );
    assert_eq!(service["DynamicUser"], true);
    // By SIGTERM, solo5-hvt fails.
    assert_eq!(service["KillSignal"], "SIGHUP");
    assert_eq!(service["ProtectSystem"], "strict");

    let example = &cases["example"];
    assert_eq!(example["failed"], json!([]));
    let service = &example["services"]["unikernel-nameserver"]["serviceConfig"];
    let start = service["ExecStart"].as_str().unwrap();
    for word in [
        "/bin/solo5-hvt",
        "--block:zones=",
        "/store/nameserver/nameserver.hvt",
        "--ipv4=10.0.0.2/24",
    ] {
        assert!(start.contains(word), "{word} is not in {start}");
    }
    assert!(service["ExecStartPre"].to_string().contains("/store/zones.tar"));

    let spt = &cases["spt"]["services"]["unikernel-hello"]["serviceConfig"];
    assert!(spt["ExecStart"].as_str().unwrap().contains("/bin/solo5-spt "));
    assert_eq!(spt["Restart"], "always");
    assert_eq!(spt["DeviceAllow"], json!([]));
    let unix = &cases["unix"]["services"]["unikernel-hello"]["serviceConfig"];
    assert!(unix["ExecStart"].as_str().unwrap().ends_with("exec /store/hello/hello"));
    // With it, solo5-spt and solo5-hvt abort.
    let locked = [service, spt, unix].map(|it| it["LockPersonality"] == true);
    assert_eq!(locked, [false, false, true]);
    // It opens the files that are called as its block devices, where it is started.
    assert_eq!(unix["WorkingDirectory"], "/run/unikernel-hello");
    let before = unix["ExecStartPre"].to_string();
    for line in [
        "install -m 600 /store/zones.tar /run/unikernel-hello/zones\"",
        "ln -sfn /var/lib/cache /run/unikernel-hello/cache\"",
    ] {
        assert!(before.contains(line), "{line} is not in {before}");
    }

    let albatross = &cases["albatross"]["services"]["unikernel-dns"];
    assert_eq!(albatross["requires"], json!(["albatrossd.service"]));
    let start = albatross["serviceConfig"]["ExecStart"].as_str().unwrap();
    for word in [
        "/store/own-albatross/bin/albatross-client create --force",
        "--net=service:br0@52:54:00:00:00:01",
        "--block=cache:dns-cache",
        "--block=zones:dns-zones",
        "--restart-on-fail",
    ] {
        assert!(start.contains(word), "{word} is not in {start}");
    }
    assert!(start.ends_with("dns /store/dns/dns.hvt"), "{start}");
    // Its block devices are its own: made of the data, in MB.
    let before = albatross["serviceConfig"]["ExecStartPre"].to_string();
    assert!(before.contains("create-block '--data=/store/zones.tar' dns-zones $(("), "{before}");
}

#[test]
fn a_configuration_that_cannot_run_is_told_of() {
    let Some(cases) = cases() else { return };
    let failed = cases["wrong"]["failed"].to_string();
    for what in ["was built for spt, not for hvt", "zones is in both", "more than 15 characters"] {
        assert!(failed.contains(what), "{what} is not in {failed}");
    }
    let failed = cases["noAlbatross"]["failed"].to_string();
    for what in [
        "needs the bridge of each network",
        "set services.albatross.enable",
        "at most 63, for unikernels and block devices: dns_1, /dev/vg/cache",
        "not unix",
    ] {
        assert!(failed.contains(what), "{what} is not in {failed}");
    }
}
