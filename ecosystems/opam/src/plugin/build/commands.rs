//! Commands: what is run to build, test and install a package.
//!
//! Most commands are words and nothing else once the variables that are known when locking are in
//! place. A command whose filters or words ask for a variable of a `.config` file is handed to the
//! runtime's `run` instead: its filters as far as they are not decided, in postfix notation, and its
//! words as far as they are not expanded.

use super::{Builder, Package, runtime, sources::stays, variables::Known};
use crate::{
    filter::{
        self, Command, Filter, FilterIdent, Piece, Scope, Value, Variable, expand_string, pieces,
    },
    package::{Filtered, name::InvalidName},
    plugin::word::LateParts,
};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
};
use x2nix_protocol::{Build, Diagnostic, Phase, PluginResult, Step, Word};

impl<'s> Builder<'s> {
    /// All steps of a package, and its patches.
    pub(super) fn commands(
        &self,
        package: &Package<'s>,
        build: &mut Build,
        far: &RefCell<BTreeSet<&'s str>>,
    ) -> PluginResult<()> {
        let file = &package.file;
        let mut writer = Writer {
            builder: self,
            package,
            far,
            late: LateParts::default(),
            build,
            testing: false,
        };

        let patches = package.read(file.patches())?;
        let substs = package.read(file.substs())?;
        let (of_patches, others): (Vec<_>, Vec<_>) =
            substs.into_iter().partition(|name| patches.iter().any(|patch| patch.value == *name));
        writer.subst(Phase::Prepare, &of_patches);
        writer.patches(patches)?;
        writer.subst(Phase::Build, &others);

        let build = package.read(file.build())?;
        writer.all("build", &build, Phase::Build)?;
        if self.session.environment.documents(package.owner) {
            writer.all("build-doc", &package.read(file.build_doc())?, Phase::Build)?;
        }
        if self.session.environment.tests(package.owner) {
            writer.tests_of("build", &build)?;
            writer.all("run-test", &package.read(file.run_test())?, Phase::Check)?;
        }
        let install = package.read(file.install())?;
        if !install.is_empty() {
            writer.step(Phase::Install, [runtime::program(), Word::text("folders")]);
        }
        writer.all("install", &install, Phase::Install)?;
        writer.step(Phase::Install, [runtime::program(), Word::text("install")]);
        Ok(())
    }
}

/// Writes the steps of one package.
struct Writer<'w, 's> {
    builder: &'w Builder<'s>,
    package: &'w Package<'s>,
    far: &'w RefCell<BTreeSet<&'s str>>,
    late: LateParts,
    build: &'w mut Build,
    /// Whether `with-test` holds. It does in the check phase only: before, what tests need is not there.
    testing: bool,
}

/// What is left of a filter when locking.
enum Rest {
    /// It is decided: its value, or undefined.
    Known(Option<Value>),
    /// This much, in postfix notation.
    Open(String),
}

impl Writer<'_, '_> {
    fn step(&mut self, phase: Phase, words: impl IntoIterator<Item = Word>) {
        self.build.steps.push(Step { phase, words: words.into_iter().collect() });
    }

    fn subst(&mut self, phase: Phase, files: &[Box<str>]) {
        if !files.is_empty() {
            let files = files.iter().map(|file| Word::text(file.to_string()));
            self.step(phase, [runtime::program(), Word::text("subst")].into_iter().chain(files));
        }
    }

    /// The patches that are applied. Where the build has to decide about one, all are steps, in their order.
    fn patches(&mut self, patches: Vec<Filtered<Box<str>>>) -> PluginResult<()> {
        let mut kept = Vec::new();
        for Filtered { value: name, filter } in patches {
            if !stays(&name) {
                let what = format!("the patch {name:?} is outside its source");
                return Err(self.package.refuse("patches", &what));
            }
            match filter.as_ref().map(|filter| self.rest(filter)) {
                None => kept.push((name, None)),
                Some(Rest::Known(value)) if holds(value.as_ref()) => kept.push((name, None)),
                Some(Rest::Known(_)) => {}
                Some(Rest::Open(rest)) => kept.push((name, Some(rest))),
            }
        }
        if kept.iter().all(|(_, rest)| rest.is_none()) {
            self.build.patches.extend(kept.into_iter().map(|(name, _)| name.into()));
            return Ok(());
        }
        for (name, rest) in kept {
            let mut words = vec![RUN.to_owned(), "run".to_owned()];
            words.extend(rest.into_iter().flat_map(|rest| ["-c".into(), rest]));
            words.extend(
                ["patch", "-p1", "-i", &name].map(|word| ["-w".into(), word.into()]).concat(),
            );
            let words = self.late_words("patches", &words)?;
            self.step(Phase::Prepare, words);
        }
        Ok(())
    }

    fn all(&mut self, field: &str, commands: &[Command], phase: Phase) -> PluginResult<()> {
        self.testing = phase == Phase::Check;
        for command in commands {
            let words = self.command(field, command)?;
            if !words.is_empty() {
                self.step(phase, words);
            }
        }
        Ok(())
    }

    /// The tests that commands of a build run where `with-test` holds, as `"@runtest" {with-test}` does:
    /// all from the first command on that is another then, since what follows may rest on it.
    fn tests_of(&mut self, field: &str, commands: &[Command]) -> PluginResult<()> {
        for (place, command) in commands.iter().enumerate() {
            self.testing = false;
            let untested = self.command(field, command)?;
            self.testing = true;
            if self.command(field, command)? != untested {
                return self.all(field, &commands[place..], Phase::Check);
            }
        }
        Ok(())
    }

    /// The words of a command; none if it is not run.
    fn command(&self, field: &str, command: &Command) -> PluginResult<Vec<Word>> {
        let words = self.words(command).map_err(|error| self.wrong(field, &error.to_string()))?;
        self.late_words(field, &words)
    }

    /// Words with their late parts in place of the marks for them.
    fn late_words(&self, field: &str, words: &[String]) -> PluginResult<Vec<Word>> {
        let words: Option<Vec<_>> = words.iter().map(|text| self.late.word(text)).collect();
        let mut words = words.ok_or_else(|| self.wrong(field, "a command has NUL characters"))?;
        if words.first() == Some(&Word::text(RUN)) {
            words[0] = runtime::program();
        }
        Ok(words)
    }

    fn wrong(&self, field: &str, what: &str) -> Box<Diagnostic> {
        let help = "mend the file; `opam lint` shows more";
        Box::new(Diagnostic::error("opam::command", what).at(self.package.at(field)).help(help))
    }

    /// A variable; `asked` is set where it is for a `.config` file to say.
    fn value(&self, variable: &Variable<'_>, asked: &Cell<bool>) -> Option<Value> {
        if variable.name == "with-test" && variable.scope == Scope::Global {
            return Some(Value::Bool(self.testing));
        }
        match self.builder.variable(self.package, &self.late, self.far, variable) {
            Known::Value(value) => value,
            Known::Config => {
                asked.set(true);
                None
            }
        }
    }

    /// The words of a command, with marks for their late parts; none if it is not run.
    fn words(&self, command: &Command) -> Result<Vec<String>, InvalidName> {
        let asked = Cell::new(false);
        let words = command.eval(&|variable| self.value(variable, &asked))?;
        if asked.get() { self.open_words(command) } else { Ok(words.unwrap_or_default()) }
    }

    /// A command that the runtime is to decide.
    fn open_words(&self, command: &Command) -> Result<Vec<String>, InvalidName> {
        let mut words = vec![RUN.to_owned(), "run".to_owned()];
        match command.filter.as_ref().map(|filter| self.rest(filter)) {
            Some(Rest::Known(value)) if !holds(value.as_ref()) => return Ok(Vec::new()),
            Some(Rest::Open(rest)) => words.extend(["-c".into(), rest]),
            _ => {}
        }
        for argument in &command.arguments {
            let condition = match argument.filter.as_ref().map(|filter| self.rest(filter)) {
                Some(Rest::Known(value)) if !holds(value.as_ref()) => continue,
                Some(Rest::Open(rest)) => Some(rest),
                _ => None,
            };
            let asked = Cell::new(false);
            let ask = |variable: &Variable<'_>| self.value(variable, &asked);
            let mut found: Vec<(&str, String)> = match &argument.word {
                filter::Word::String(text) => {
                    let text = expand_string(text, &ask)?.into_owned();
                    vec![("-w", text)]
                }
                filter::Word::Ident(ident) => match ident.resolve(&ask) {
                    Some(Value::List(texts)) => {
                        texts.into_iter().map(|text| ("-w", text)).collect()
                    }
                    value => vec![("-w", value.map(Value::into_text).unwrap_or_default())],
                },
            };
            if asked.get() {
                found = vec![match &argument.word {
                    filter::Word::String(text) => ("-i", self.open_text(text)?),
                    filter::Word::Ident(ident) if ident.converter.is_none() => {
                        ("-v", ident.to_string())
                    }
                    filter::Word::Ident(ident) => ("-i", format!("%{{{ident}}}%")),
                }];
            }
            for (kind, text) in found {
                if let Some(condition) = &condition {
                    words.extend(["-f".into(), condition.clone()]);
                }
                words.extend([kind.to_owned(), text]);
            }
        }
        Ok(words)
    }

    /// A text with what is known in place, the rest still in `%{` and `}%`.
    fn open_text(&self, text: &str) -> Result<String, InvalidName> {
        let mut result = String::new();
        for piece in pieces(text)? {
            match piece {
                Piece::Text(text) => result.push_str(&escaped(text)),
                Piece::Variable(ident) => match self.ident(&ident) {
                    Rest::Known(value) => {
                        result.push_str(&escaped(&value.map(Value::into_text).unwrap_or_default()));
                    }
                    Rest::Open(_) => result.push_str(&format!("%{{{ident}}}%")),
                },
            }
        }
        Ok(result)
    }

    fn ident(&self, ident: &FilterIdent) -> Rest {
        let asked = Cell::new(false);
        let value = ident.resolve(&|variable| self.value(variable, &asked));
        if !asked.get() {
            Rest::Known(value)
        } else if ident.converter.is_none() {
            Rest::Open(format!("v:{ident}"))
        } else {
            Rest::Open(format!("s:{}", token(&format!("%{{{ident}}}%"))))
        }
    }

    /// What is left of a filter (`OpamFilter.reduce`, as far as it goes).
    fn rest(&self, filter: &Filter) -> Rest {
        let asked = Cell::new(false);
        let value = filter.reduce(&|variable| self.value(variable, &asked));
        if !asked.get() {
            return Rest::Known(value);
        }
        match filter {
            Filter::Bool(value) => Rest::Known(Some(Value::Bool(*value))),
            Filter::String(text) => match self.open_text(text) {
                Ok(text) => Rest::Open(format!("s:{}", token(&text))),
                Err(_) => Rest::Known(None),
            },
            Filter::Ident(ident) => self.ident(ident),
            Filter::Op(op, operands) => {
                let (left, right) = (self.rest(&operands.0), self.rest(&operands.1));
                Rest::Open(format!("{} {} {op}", postfix(left), postfix(right)))
            }
            Filter::And(parts) => self.fold(parts, false),
            Filter::Or(parts) => self.fold(parts, true),
            Filter::Not(inner) => Rest::Open(format!("{} !", postfix(self.rest(inner)))),
            Filter::Defined(inner) => Rest::Open(format!("{} ?", postfix(self.rest(inner)))),
        }
    }

    /// What is left of "and" or "or": nothing, where a known part settles it.
    fn fold(&self, parts: &[Filter], absorbing: bool) -> Rest {
        let mut open: Vec<String> = Vec::new();
        for part in parts {
            match self.rest(part) {
                Rest::Known(Some(Value::Bool(value))) if value == absorbing => {
                    return Rest::Known(Some(Value::Bool(absorbing)));
                }
                Rest::Known(Some(Value::Bool(_))) => {}
                rest => open.push(postfix(rest)),
            }
        }
        let sign = if absorbing { " |" } else { " &" };
        let mut all = open.into_iter();
        match all.next() {
            None => Rest::Known(Some(Value::Bool(!absorbing))),
            Some(first) => {
                Rest::Open(all.fold(first, |left, right| format!("{left} {right}{sign}")))
            }
        }
    }
}

/// Stands for the runtime's program until the words have their parts.
const RUN: &str = "\u{1}x2nix-opam";

fn holds(value: Option<&Value>) -> bool {
    value.and_then(Value::as_bool).unwrap_or_default()
}

fn postfix(rest: Rest) -> String {
    match rest {
        Rest::Open(text) => text,
        // No package is called that, so it is undefined in the build as well.
        Rest::Known(None) => "v:0:undefined".into(),
        Rest::Known(Some(value)) => match value.as_bool() {
            Some(value) => format!("b:{value}"),
            None => format!("s:{}", token(&escaped(&value.into_text()))),
        },
    }
}

/// Text that is not to be expanded.
fn escaped(text: &str) -> String {
    text.replace('%', "%%")
}

/// Text as one token: percent-encoded, but for the marks of late parts.
fn token(text: &str) -> String {
    let plain =
        |byte: u8| byte == 0 || byte.is_ascii_alphanumeric() || b"._/+:=,@{}?-".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
