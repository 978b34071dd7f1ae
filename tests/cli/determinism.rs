//! The same question has the same answer, byte for byte.

use crate::support::{Place, Run};

/// Packages in two generations, with choices between equals.
fn stock() -> Vec<(String, String)> {
    let mut packages = Vec::new();
    for number in 0..40 {
        for version in 1..4 {
            let needs = format!(
                "depends: [\"q{}\" {{>= \"{}\"}} (\"q{}\" | \"q{}\")]\nconflicts: \"q{}\" {{= \"{version}\"}}",
                number % 7,
                version - 1,
                number % 5,
                (number + 1) % 5,
                (number + 3) % 7,
            );
            packages.push((format!("p{number}.{version}"), needs));
        }
    }
    for number in 0..7 {
        for version in 1..4 {
            packages.push((format!("q{number}.{version}"), String::new()));
        }
    }
    packages.push(("broken.1".into(), "depends: [".into()));
    packages.push(("broken.2".into(), "flags: 3".into()));
    packages
}

/// Everything that a run gives and writes.
fn all(place: &Place, threads: &str) -> (Run, String, String) {
    let words = "resolve --ecosystem opam --repo repo --root p1 --root p12 --root p33 --root q0 \
                 --platform x86_64-linux --platform aarch64-darwin --format json --update";
    let mut command = place.command(words);
    let run = Run::of(command.env("RAYON_NUM_THREADS", threads)).exits(0);
    (run, place.read("x2nix.lock.json"), place.read("x2nix.nix"))
}

#[test]
fn neither_threads_nor_the_order_on_disk_nor_the_cache_show() {
    let mut packages = stock();
    let mut seen = Vec::new();
    for turn in 0..3 {
        let borrowed: Vec<_> = packages.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let place = Place::with(&borrowed);
        for threads in ["1", "2", "2"] {
            seen.push(all(&place, threads));
        }
        match turn {
            0 => packages.reverse(),
            // Every seventh, round and round: all of them in a third order.
            _ => {
                packages =
                    (0..packages.len()).map(|i| packages[i * 7 % packages.len()].clone()).collect();
            }
        }
    }
    assert!(seen.iter().all(|one| *one == seen[0]));
}

#[test]
fn archives_with_another_order_give_the_same_answer() {
    let mut packages = stock();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let place = Place::new();
        let borrowed: Vec<_> = packages.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        place.archive("repo.tar.gz", &borrowed);
        let words = "--repo repo.tar.gz --root p1 --root p12 --root broken --dry-run --format json";
        seen.push(place.resolve(words));
        let words = "--repo repo.tar.gz --root p1 --root p12 --root p33 --dry-run --format json";
        seen.push(place.resolve(words).exits(0));
        packages.reverse();
    }
    assert_eq!(seen[0], seen[2]);
    assert_eq!(seen[1], seen[3]);
}

#[test]
fn reasons_come_in_the_same_order() {
    let mut packages = stock();
    let mut seen = Vec::new();
    for threads in ["1", "2"] {
        let borrowed: Vec<_> = packages.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let place = Place::with(&borrowed);
        let words = "resolve --ecosystem opam --repo repo --root p1 --root p2 --root q1=1 \
                     --root q2=1 --root q3=1 --root q4=1 --root broken --platform x86_64-linux --verbose";
        let mut command = place.command(words);
        seen.push(Run::of(command.env("RAYON_NUM_THREADS", threads)).exits(1));
        packages.reverse();
    }
    assert_eq!(seen[0], seen[1]);
}
