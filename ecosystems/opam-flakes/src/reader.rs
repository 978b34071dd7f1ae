//! Nix syntax, read as far as it can be without running it.

use rnix::{
    ParseError, SyntaxNode,
    ast::{
        Apply, Attr, AttrSet, Attrpath, BinOpKind, Entry, Expr, HasEntry, InterpolPart, Lambda,
        LetIn, Param, With,
    },
};
use rowan::ast::AstNode as _;
use std::cell::Cell;

/// How many names are followed for one value: bindings may refer to themselves.
const DEPTH: u32 = 64;
/// How many expressions are read in all: merging may repeat itself without end.
const FUEL: u32 = 100_000;

/// A value, as far as it is written out.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// A string, or a number in its own spelling.
    Text(String),
    /// A truth value.
    Bool(bool),
    /// `null`.
    Null,
    /// A path, relative to the flake.
    Path(String),
    /// A list.
    List(Vec<Item>),
    /// A set of which some members are known.
    Set(Set),
    /// The packages that the project itself has: `listRepo (makeOpamRepo ./.)`.
    Project,
    /// An input of the flake, by name.
    Input(String),
    /// Something of the package set of Nix, by its path there; empty for the set itself.
    Attribute(Vec<String>),
    /// Something that only evaluation tells.
    Unknown,
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) value: Value,
    pub(crate) line: u32,
}

/// A set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Set {
    /// The members that are written out, the last of a name wins.
    pub(crate) members: Vec<(String, Item)>,
    /// The lines of parts that only evaluation tells.
    pub(crate) unread: Vec<u32>,
}

impl Set {
    /// A member by name.
    pub(crate) fn get(&self, name: &str) -> Option<&Item> {
        self.members.iter().rev().find(|(it, _)| it == name).map(|(_, item)| item)
    }

    fn put(&mut self, name: String, item: Item) {
        self.members.retain(|(it, _)| *it != name);
        self.members.push((name, item));
    }

    fn merge(&mut self, other: Self) {
        other.members.into_iter().for_each(|(name, item)| self.put(name, item));
        self.unread.extend(other.unread);
    }
}

/// Where a name gets its value.
enum Binding {
    /// From an expression.
    Expr(Expr),
    /// `inherit (FROM) NAME`: a member of another expression.
    Member(Expr),
    /// From the arguments of the flake's outputs: an input, or all of them.
    Output,
    /// From the argument of another function.
    Argument,
}

/// A flake that is read.
pub(crate) struct Reader<'t> {
    text: &'t str,
    root: rnix::Root,
    fuel: Cell<u32>,
}

impl<'t> Reader<'t> {
    pub(crate) fn new(text: &'t str, root: &rnix::Root) -> Self {
        Self { text, root: root.clone(), fuel: Cell::new(FUEL) }
    }

    /// The syntax tree.
    pub(crate) fn syntax(&self) -> &SyntaxNode {
        self.root.syntax()
    }

    /// The flake itself.
    pub(crate) fn top(&self) -> Option<AttrSet> {
        let mut expr = self.root.expr();
        while let Some(Expr::Paren(paren)) = expr {
            expr = paren.expr();
        }
        match expr {
            Some(Expr::AttrSet(set)) => Some(set),
            _ => None,
        }
    }

    /// All calls of the flake, each with all of its arguments.
    pub(crate) fn calls(&self) -> impl Iterator<Item = (Expr, Vec<Expr>)> {
        let whole = |expr: &Expr| {
            let of = expr.syntax().parent().and_then(Apply::cast).and_then(|outer| outer.lambda());
            matches!(expr, Expr::Apply(_)) && of.as_ref() != Some(expr)
        };
        self.syntax().descendants().filter_map(Expr::cast).filter(whole).map(|expr| flat(&expr))
    }

    /// The line that something starts on.
    pub(crate) fn line(&self, node: &SyntaxNode) -> u32 {
        line_at(self.text, node.text_range().start().into())
    }

    /// What an expression comes to.
    pub(crate) fn value(&self, expr: &Expr) -> Value {
        self.read(expr, DEPTH)
    }

    /// A value and its line.
    pub(crate) fn item(&self, expr: &Expr) -> Item {
        Item { value: self.value(expr), line: self.line(expr.syntax()) }
    }

    fn read(&self, expr: &Expr, depth: u32) -> Value {
        let Some(fuel) = self.fuel.get().checked_sub(1) else { return Value::Unknown };
        self.fuel.set(fuel);
        let Some(depth) = depth.checked_sub(1) else { return Value::Unknown };
        match expr {
            Expr::Literal(literal) => Value::Text(literal.syntax().text().to_string()),
            Expr::Str(string) => {
                let mut text = String::new();
                for part in string.normalized_parts() {
                    match part {
                        InterpolPart::Literal(literal) => text.push_str(&literal),
                        InterpolPart::Interpolation(it) => {
                            match it.expr().map(|it| self.read(&it, depth)) {
                                Some(Value::Text(value)) => text.push_str(&value),
                                _ => return Value::Unknown,
                            }
                        }
                    }
                }
                Value::Text(text)
            }
            Expr::PathRel(_) => {
                let text = expr.syntax().text().to_string();
                if text.contains("${") { Value::Unknown } else { Value::Path(text) }
            }
            Expr::List(list) => {
                let item =
                    |it: Expr| Item { value: self.read(&it, depth), line: self.line(it.syntax()) };
                Value::List(list.items().map(item).collect())
            }
            Expr::AttrSet(set) => self.set(set, depth),
            Expr::Paren(paren) => self.inner(paren.expr(), depth),
            Expr::LetIn(it) => self.inner(it.body(), depth),
            Expr::With(with) => self.inner(with.body(), depth),
            Expr::Assert(assert) => self.inner(assert.body(), depth),
            Expr::Ident(ident) => match ident.ident_token() {
                Some(token) => self.name(ident.syntax(), token.text(), depth),
                None => Value::Unknown,
            },
            Expr::Select(select) => {
                let (Some(from), Some(path)) = (select.expr(), select.attrpath()) else {
                    return Value::Unknown;
                };
                let Some(names) = names(&path) else {
                    return of_package_set(expr);
                };
                match member(self.read(&from, depth), &names) {
                    Value::Unknown => of_package_set(expr),
                    value => value,
                }
            }
            Expr::BinOp(op) => {
                let side = |it: Option<Expr>| it.map_or(Value::Unknown, |it| self.read(&it, depth));
                let (left, right) = (side(op.lhs()), side(op.rhs()));
                self.joined(op.operator(), left, right, expr)
            }
            Expr::Apply(_) => self.call(expr, depth),
            _ => Value::Unknown,
        }
    }

    fn inner(&self, expr: Option<Expr>, depth: u32) -> Value {
        expr.map_or(Value::Unknown, |expr| self.read(&expr, depth))
    }

    fn joined(&self, op: Option<BinOpKind>, left: Value, right: Value, expr: &Expr) -> Value {
        let line = || self.line(expr.syntax());
        match (op, left, right) {
            (Some(BinOpKind::Update), Value::Set(mut left), Value::Set(right)) => {
                left.merge(right);
                Value::Set(left)
            }
            // What is known of a set is worth having.
            (Some(BinOpKind::Update), Value::Set(mut set), other)
            | (Some(BinOpKind::Update), other, Value::Set(mut set)) => {
                if !matches!(other, Value::Project) {
                    set.unread.push(line());
                }
                Value::Set(set)
            }
            (Some(BinOpKind::Concat), Value::List(mut left), Value::List(right)) => {
                left.extend(right);
                Value::List(left)
            }
            (Some(BinOpKind::Add), Value::Text(left), Value::Text(right)) => {
                Value::Text(left + &right)
            }
            _ => Value::Unknown,
        }
    }

    /// Functions that change nothing that matters here.
    fn call(&self, expr: &Expr, depth: u32) -> Value {
        let (function, arguments) = flat(expr);
        let last = arguments.last().map_or(Value::Unknown, |last| self.read(last, depth));
        match function_name(&function).as_deref() {
            Some(
                "makeOpamRepo" | "makeOpamRepoRec" | "cleanSource" | "toString" | "recursiveUpdate",
            ) => last,
            Some("cleanSourceWith") => match last {
                Value::Set(set) => set.get("src").map_or(Value::Unknown, |it| it.value.clone()),
                _ => Value::Unknown,
            },
            Some("listRepo") => match last {
                Value::Path(_) => Value::Project,
                _ => Value::Unknown,
            },
            Some("mapAttrs") if matches!(last, Value::Project) => Value::Project,
            _ => Value::Unknown,
        }
    }

    fn set(&self, set: &AttrSet, depth: u32) -> Value {
        let mut result = Set::default();
        for entry in set.entries() {
            match entry {
                Entry::AttrpathValue(entry) => {
                    let (Some(path), Some(value)) = (entry.attrpath(), entry.value()) else {
                        continue;
                    };
                    let line = self.line(entry.syntax());
                    match names(&path).map(|mut names| (names.remove(0), names)) {
                        Some((name, rest)) => {
                            let mut item = Item { value: self.read(&value, depth), line };
                            for name in rest.into_iter().rev() {
                                let members = vec![(name, item)];
                                item = Item {
                                    value: Value::Set(Set { members, unread: vec![] }),
                                    line,
                                };
                            }
                            // `a.b = 1; a.c = 2;` is one set.
                            let nested = path.attrs().count() > 1;
                            match (nested, result.members.iter_mut().find(|(it, _)| *it == name)) {
                                (true, Some((_, Item { value: Value::Set(there), .. }))) => {
                                    if let Value::Set(more) = item.value {
                                        there.merge(more);
                                    }
                                }
                                _ => result.put(name, item),
                            }
                        }
                        // A computed name, such as the project's own: `${package} = "*"`.
                        None => match self.computed(&path, depth) {
                            Some(name) => {
                                let value = self.read(&value, depth);
                                result.put(name, Item { value, line });
                            }
                            None => result.unread.push(line),
                        },
                    }
                }
                Entry::Inherit(inherit) => {
                    let line = self.line(inherit.syntax());
                    for attr in inherit.attrs() {
                        let Some(name) = name(&attr) else { continue };
                        let value = match inherit.from().and_then(|from| from.expr()) {
                            Some(from) => {
                                member(self.read(&from, depth), std::slice::from_ref(&name))
                            }
                            None => set
                                .syntax()
                                .parent()
                                .map_or(Value::Unknown, |outer| self.name(&outer, &name, depth)),
                        };
                        result.put(name, Item { value, line });
                    }
                }
            }
        }
        Value::Set(result)
    }

    fn computed(&self, path: &Attrpath, depth: u32) -> Option<String> {
        let mut attrs = path.attrs();
        let Some(Attr::Dynamic(dynamic)) = attrs.next() else { return None };
        match (self.read(&dynamic.expr()?, depth), attrs.next()) {
            (Value::Text(name), None) => Some(name),
            _ => None,
        }
    }

    fn name(&self, node: &SyntaxNode, name: &str, depth: u32) -> Value {
        match name {
            "true" | "false" => return Value::Bool(name == "true"),
            "null" => return Value::Null,
            // The one name that everybody uses for the package set, however they come by it.
            "pkgs" => return Value::Attribute(Vec::new()),
            _ => {}
        }
        match binding(node, name) {
            Some(Binding::Expr(expr)) => self.read(&expr, depth),
            Some(Binding::Member(from)) => member(self.read(&from, depth), &[name.to_owned()]),
            Some(Binding::Output) if name == "self" => Value::Path("./.".into()),
            Some(Binding::Output) => Value::Input(name.to_owned()),
            Some(Binding::Argument) => Value::Unknown,
            None => {
                let namespaces =
                    node.ancestors().filter_map(With::cast).filter_map(|it| it.namespace());
                namespaces
                    .map(|it| member(self.read(&it, depth), &[name.to_owned()]))
                    .find(|it| !matches!(it, Value::Unknown))
                    .unwrap_or(Value::Unknown)
            }
        }
    }
}

/// A call as its function and all of its arguments.
pub(crate) fn flat(expr: &Expr) -> (Expr, Vec<Expr>) {
    let mut function = expr.clone();
    let mut arguments = Vec::new();
    while let Expr::Apply(apply) = &function {
        let (Some(of), Some(argument)) = (apply.lambda(), apply.argument()) else { break };
        arguments.push(argument);
        function = of;
    }
    arguments.reverse();
    (function, arguments)
}

/// The last part of a function's name: `on.buildOpamProject'` is `buildOpamProject'`.
pub(crate) fn function_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Ident(ident) => Some(ident.ident_token()?.to_string()),
        Expr::Select(select) => name(&select.attrpath()?.attrs().last()?),
        Expr::Paren(paren) => function_name(&paren.expr()?),
        _ => None,
    }
}

/// The plain names of a path; none where one is computed.
pub(crate) fn names(path: &Attrpath) -> Option<Vec<String>> {
    let names: Option<Vec<_>> = path.attrs().map(|attr| name(&attr)).collect();
    names.filter(|names| !names.is_empty())
}

fn name(attr: &Attr) -> Option<String> {
    match attr {
        Attr::Ident(ident) => Some(ident.ident_token()?.to_string()),
        Attr::Str(string) => match string.normalized_parts().as_slice() {
            [InterpolPart::Literal(text)] => Some(text.clone()),
            _ => None,
        },
        Attr::Dynamic(_) => None,
    }
}

/// Where a name that is used at a node is bound, the innermost place first.
fn binding(node: &SyntaxNode, name: &str) -> Option<Binding> {
    let mut inner = node.clone();
    for outer in node.ancestors() {
        let found = if let Some(it) = LetIn::cast(outer.clone()) {
            entry(it.entries(), name, &inner)
        } else if let Some(it) = AttrSet::cast(outer.clone()).filter(|it| it.rec_token().is_some())
        {
            entry(it.entries(), name, &inner)
        } else if let Some(it) = Lambda::cast(outer.clone()) {
            takes(&it, name)
                .then(|| if is_outputs(&it) { Binding::Output } else { Binding::Argument })
        } else {
            None
        };
        if found.is_some() {
            return found;
        }
        inner = outer;
    }
    None
}

/// The entry of a name. `inner` is the part of the bindings that the name is used in: `inherit NAME`
/// there means the name outside.
fn entry(entries: impl Iterator<Item = Entry>, name: &str, inner: &SyntaxNode) -> Option<Binding> {
    for entry in entries {
        match entry {
            Entry::AttrpathValue(entry) => {
                if entry.attrpath().as_ref().and_then(names).as_deref() == Some(&[name.to_owned()])
                {
                    return entry.value().map(Binding::Expr);
                }
            }
            Entry::Inherit(inherit) if inherit.syntax() != inner => {
                let has = inherit.attrs().any(|attr| self::name(&attr).as_deref() == Some(name));
                if has {
                    return inherit.from().and_then(|from| from.expr()).map(Binding::Member);
                }
            }
            Entry::Inherit(_) => {}
        }
    }
    None
}

fn takes(lambda: &Lambda, name: &str) -> bool {
    let is = |ident: Option<rnix::ast::Ident>| {
        ident.and_then(|it| it.ident_token()).is_some_and(|token| token.text() == name)
    };
    match lambda.param() {
        Some(Param::IdentParam(param)) => is(param.ident()),
        Some(Param::Pattern(pattern)) => {
            pattern.pat_entries().any(|entry| is(entry.ident()))
                || pattern.pat_bind().is_some_and(|bind| is(bind.ident()))
        }
        None => false,
    }
}

/// Whether a function is the flake's `outputs`.
fn is_outputs(lambda: &Lambda) -> bool {
    let entry = lambda.syntax().parent().and_then(rnix::ast::AttrpathValue::cast);
    entry.and_then(|it| it.attrpath()).and_then(|path| names(&path)).as_deref()
        == Some(&["outputs".to_owned()])
}

/// The line of an offset, from 1.
pub(crate) fn line_at(text: &str, offset: usize) -> u32 {
    let newlines = text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count();
    u32::try_from(newlines + 1).unwrap_or(u32::MAX)
}

/// Where a parser's error is.
pub(crate) fn error_offset(error: &ParseError) -> Option<usize> {
    match error {
        ParseError::Unexpected(range)
        | ParseError::UnexpectedExtra(range)
        | ParseError::UnexpectedWanted(_, range, _)
        | ParseError::UnexpectedDoubleBind(range)
        | ParseError::DuplicatedArgs(range, _) => Some(range.start().into()),
        _ => None,
    }
}

/// The expression that an expression stands for: names are followed, brackets are taken off.
pub(crate) fn behind(expr: &Expr) -> Option<Expr> {
    let mut expr = expr.clone();
    for _ in 0..DEPTH {
        expr = match expr {
            Expr::Paren(paren) => paren.expr()?,
            Expr::With(with) => with.body()?,
            Expr::LetIn(it) => it.body()?,
            Expr::Ident(ident) => {
                match binding(ident.syntax(), &ident.ident_token()?.to_string())? {
                    Binding::Expr(expr) => expr,
                    _ => return None,
                }
            }
            other => return Some(other),
        };
    }
    None
}

fn member(from: Value, names: &[String]) -> Value {
    let Some((first, rest)) = names.split_first() else { return from };
    match from {
        Value::Set(set) => match set.get(first) {
            Some(item) => member(item.value.clone(), rest),
            None => Value::Unknown,
        },
        Value::Attribute(mut path) => {
            path.extend(names.iter().cloned());
            Value::Attribute(path)
        }
        // `inputs.NAME`
        Value::Input(all) if all == "inputs" && rest.is_empty() && first == "self" => {
            Value::Path("./.".into())
        }
        Value::Input(all) if all == "inputs" && rest.is_empty() => Value::Input(first.clone()),
        _ => Value::Unknown,
    }
}

/// `nixpkgs.legacyPackages.${system}` is the package set.
fn of_package_set(expr: &Expr) -> Value {
    let text: String = expr.syntax().text().to_string().split_whitespace().collect();
    let is_set = text
        .split_once(".legacyPackages.")
        .is_some_and(|(_, rest)| !rest.trim_start_matches("${system}").contains('.'));
    if is_set { Value::Attribute(Vec::new()) } else { Value::Unknown }
}
