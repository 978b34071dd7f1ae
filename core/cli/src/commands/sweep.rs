//! `x2nix sweep`: resolve every package of the repositories, one by one.

use super::resolve::{ecosystem, repositories, request};
use crate::{
    ecosystems::Ecosystem,
    package_set::{PackageSetPlace, wishes},
    project::{open_inputs, unreadable},
    report::{Format, Stop, answer, answer_json, note_all},
    settings::Settings,
};
use clap::ArgMatches;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};
use x2nix_core::{
    Failure, Request,
    lock::{CriterionValue, Optimality},
    protocol::{Diagnostic, Host},
};

/// What became of one package; one line of the output.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Line {
    name: String,
    status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    optimality: Option<Optimality>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    criteria: Vec<CriterionValue>,
    /// How many packages were chosen.
    #[serde(default)]
    packages: usize,
    /// How long it took, in seconds, the repository being open.
    seconds: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Status {
    /// Solved, and verified: an answer that is not verified is a bug, and ends the sweep.
    Solved,
    Unsolvable,
    Refused,
}

/// Runs the command.
pub(crate) fn run(
    ecosystems: &[Ecosystem],
    matches: &ArgMatches,
    format: Format,
) -> Result<(), Stop> {
    let folder = Path::new(".");
    let mut settings = Settings::read(folder)?;
    settings.roots.clear();
    let ecosystem = &ecosystem(ecosystems, matches, &settings)?;
    let wanted = repositories(&ecosystem.describe, matches, &settings, folder, None)?;
    let opened = open_inputs(ecosystem, &wanted, folder, matches.get_flag("offline"))?;
    note_all(&opened.notes, format);
    let mut request = request(ecosystem, matches, opened.inputs, &settings)?;
    let package_set = PackageSetPlace::new(matches, &settings, Path::new("."), Path::new("."));
    let wishes = wishes(&settings, ecosystem, &request.options);
    package_set.provide(&mut request, &wishes, None)?;
    let names = x2nix_core::names(ecosystem.plugin.as_ref(), &opened.host, &listing(&request))?;
    let mut output =
        matches.get_one::<PathBuf>("output").map(|path| Output::open(path)).transpose()?;
    let mut lines =
        output.as_mut().map(|output| std::mem::take(&mut output.lines)).unwrap_or_default();
    lines.retain(|line| names.contains(&line.name));
    let left: Vec<&String> =
        names.iter().filter(|name| lines.iter().all(|line| line.name != **name)).collect();
    let started = Instant::now();
    lines.extend(resolve_all(
        ecosystem,
        &opened.host,
        &request,
        &left,
        output.map(|output| output.file),
    )?);
    if matches.get_one::<String>("format").is_some_and(|it| it == "jsonl") {
        lines.sort_by(|one, other| one.name.cmp(&other.name));
        return answer(&lines.iter().map(json_line).collect::<Result<String, Stop>>()?);
    }
    summarise(&lines, started.elapsed().as_secs_f64(), format)
}

/// A request that a plugin opens for listing, whether anything is asked for or not.
fn listing(request: &Request) -> Request {
    let mut request = request.clone();
    if request.roots.is_empty() {
        request.roots.push("x".into());
    }
    request
}

/// The output file, and the lines that it has already.
struct Output {
    file: File,
    lines: Vec<Line>,
}

impl Output {
    fn open(path: &Path) -> Result<Self, Stop> {
        let failed = |error: std::io::Error| unreadable(path, &error);
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).open(path).map_err(failed)?;
        let mut lines = Vec::new();
        let mut torn = false;
        for text in BufReader::new(&file).lines() {
            let text = text.map_err(failed)?;
            // The last line of a sweep that was killed may be half a line.
            match serde_json::from_str(&text) {
                Ok(line) => lines.push(line),
                Err(_) => torn = true,
            }
        }
        if torn {
            file.write_all(b"\n").map_err(failed)?;
        }
        Ok(Self { file, lines })
    }
}

fn resolve_all(
    ecosystem: &Ecosystem,
    host: &Arc<dyn Host>,
    request: &Request,
    names: &[&String],
    output: Option<File>,
) -> Result<Vec<Line>, Stop> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new((Vec::new(), output, None::<Stop>));
    // Hidden where standard error is no terminal.
    let progress = ProgressBar::new(names.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg} {eta}") {
        progress.set_style(style);
    }
    let work = || {
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            let line = resolve_one(ecosystem, host, request, name);
            let Ok(mut results) = results.lock() else { return };
            let (lines, output, stop) = &mut *results;
            match line {
                Ok(line) => {
                    if let Some(file) = output
                        && let Err(error) = write_line(file, &line)
                    {
                        *stop = Some(error);
                    }
                    progress.set_message(line.name.clone());
                    progress.inc(1);
                    lines.push(line);
                }
                Err(error) => *stop = Some(error),
            }
            if stop.is_some() {
                return;
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    progress.finish_and_clear();
    match results.into_inner() {
        Ok((lines, _, None)) => Ok(lines),
        Ok((_, _, Some(stop))) => Err(stop),
        Err(_) => Err(Stop::Bug("a worker of the sweep panicked".into())),
    }
}

fn json_line(line: &Line) -> Result<String, Stop> {
    let text = serde_json::to_string(line).map_err(|error| Stop::Bug(error.to_string()))?;
    Ok(text + "\n")
}

fn write_line(file: &mut File, line: &Line) -> Result<(), Stop> {
    file.write_all(json_line(line)?.as_bytes()).map_err(|error| {
        Diagnostic::error("output::write", format!("cannot write the output: {error}"))
            .access()
            .into()
    })
}

fn resolve_one(
    ecosystem: &Ecosystem,
    host: &Arc<dyn Host>,
    request: &Request,
    name: &str,
) -> Result<Line, Stop> {
    let mut request = request.clone();
    if !request.roots.iter().any(|root| root == name) {
        request.roots.insert(0, name.to_owned());
    }
    let started = Instant::now();
    let result = x2nix_core::resolve(ecosystem.plugin.as_ref(), host, &request);
    let mut line = Line {
        name: name.to_owned(),
        status: Status::Solved,
        optimality: None,
        criteria: Vec::new(),
        packages: 0,
        seconds: started.elapsed().as_secs_f64(),
        message: None,
    };
    match result {
        Ok(resolution) => {
            if let Some(answer) = resolution.lock.platforms.into_values().next() {
                line.optimality = Some(answer.optimality);
                line.criteria = answer.criteria;
                line.packages = answer.packages.len();
            }
        }
        Err(Failure::Unsolvable { .. }) => line.status = Status::Unsolvable,
        Err(Failure::Refused(diagnostic)) => {
            line.status = Status::Refused;
            line.message = Some(diagnostic.message.clone());
        }
        Err(Failure::Bug(error)) => return Err(Stop::Bug(format!("{name}: {error}"))),
    }
    Ok(line)
}

fn summarise(lines: &[Line], seconds: f64, format: Format) -> Result<(), Stop> {
    let count = |wanted: Status| lines.iter().filter(|line| line.status == wanted).count();
    let optimal = lines.iter().filter(|line| line.optimality == Some(Optimality::Optimal)).count();
    let solved = count(Status::Solved);
    let mut times: Vec<f64> = lines.iter().map(|line| line.seconds).collect();
    times.sort_by(f64::total_cmp);
    let quantile = |part: usize| {
        times.get((times.len().saturating_sub(1)) * part / 100).copied().unwrap_or(0.0)
    };
    let (median, high, most) = (quantile(50), quantile(99), quantile(100));
    if format == Format::Json {
        return answer_json(&json!({
            "packages": lines.len(), "solved": solved, "unsolvable": count(Status::Unsolvable),
            "refused": count(Status::Refused), "optimal": optimal, "best_found": solved - optimal,
            "seconds": { "all": seconds, "median": median, "percentile_99": high, "most": most },
        }));
    }
    answer(&format!(
        "{} packages: {solved} solved and verified ({optimal} optimal, {} best found), {} unsolvable, {} refused\n\
         each: median {median:.3} s, 99th percentile {high:.3} s, most {most:.3} s; all: {seconds:.1} s\n",
        lines.len(),
        solved - optimal,
        count(Status::Unsolvable),
        count(Status::Refused),
    ))
}
