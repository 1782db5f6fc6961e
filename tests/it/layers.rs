//! The order of imports: which folder may know which, and no circles between files.
//!
//! The compiler would hold the order between crates of a workspace. A test does here, since the crate is built,
//! documented and released as one, and a split would make public what the parts now share within it. The files are
//! parsed, so that imports by `use`, by a path in the middle of a line, and in a macro all count. What `#[cfg(test)]`
//! marks may import anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};

/// The layers of the crate, lowest first. A module may import from lower layers and from itself, but from nothing
/// beside or above it.
const LAYERS: [&[&str]; 12] = [
    &["models"],
    &["breaker", "clock", "metrics", "output", "retry", "secret", "tls", "visible"],
    &["names", "wire"],
    &["stores"],
    &["data_dir"],
    &["actors"],
    &["config", "testkit"],
    &["telemetry"],
    &["node", "web"],
    &["app"],
    &["cli"],
    &["replay"],
];

/// What a module of `src` must not use: crates, and parts of the standard library.
const FORBIDDEN: [(&str, &[&str]); 4] = [
    (
        "models",
        &[
            "actix",
            "actix_web",
            "tokio",
            "sqlx",
            "utoipa",
            "tracing",
            "prometheus",
            "rand",
            "std::fs",
            "std::io",
            "std::net",
            "std::thread",
            "std::env",
            "std::time::Instant",
            "std::time::SystemTime",
        ],
    ),
    ("wire", &["actix", "actix_web", "tokio", "sqlx", "std::fs", "std::net"]),
    ("stores", &["actix", "actix_web", "utoipa"]),
    ("actors", &["actix_web", "utoipa"]),
];

/// Modules that must not be imported, by those who must not know them.
const STRANGERS: [(&str, &str); 3] =
    [("web", "actors::ingest"), ("web", "actors::sinks"), ("web", "actors::partition")];

type Module = Vec<String>;

/// The modules of the crate that are files, and what each imports.
struct Crate {
    modules: BTreeMap<Module, Imports>,
}

/// What one file imports.
#[derive(Default)]
struct Imports {
    /// Paths into this crate, from its root.
    own: BTreeSet<Module>,
    /// Paths into other crates.
    foreign: BTreeSet<String>,
    /// Names that the file gives out and has from elsewhere: the name, and the path that it stands for.
    re_exports: BTreeMap<String, Module>,
}

impl Crate {
    fn read() -> Crate {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        list(&root, &mut files);
        let mut modules = BTreeMap::new();
        for file in files {
            let module = module_of(file.strip_prefix(&root).unwrap());
            // The program's own file is a crate that uses this one.
            if module == ["main"] {
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap();
            let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let mut reader = Reader { module: module.clone(), imports: Imports::default() };
            reader.visit_file(&parsed);
            modules.insert(module, reader.imports);
        }
        assert!(modules.len() > 150, "only {} files were found", modules.len());
        Crate { modules }
    }

    /// Returns the file that a path leads to, through re-exports.
    fn file_of(&self, path: &[String]) -> Module {
        let mut path = path.to_vec();
        for _ in 0..8 {
            let len = (0..=path.len()).rev().find(|&len| self.modules.contains_key(&path[..len]));
            let len = len.unwrap_or(0);
            let re_exports = self.modules.get(&path[..len]).map(|imports| &imports.re_exports);
            match path.get(len).and_then(|name| re_exports?.get(name)) {
                Some(target) => path = [target.as_slice(), &path[len + 1..]].concat(),
                None => return path[..len].to_vec(),
            }
        }
        panic!("re-exports of {} lead nowhere", path.join("::"));
    }

    /// Returns the files that a file imports from. One that is made of its own submodules does not import them.
    fn imported(&self, module: &Module) -> BTreeSet<Module> {
        let own = self.modules[module].own.iter().map(|path| self.file_of(path));
        own.filter(|other| !other.starts_with(module)).collect()
    }

    /// Returns every set of files that all import each other, directly or by way of others.
    fn circles(&self) -> Vec<Vec<String>> {
        let graph: BTreeMap<&Module, BTreeSet<Module>> =
            self.modules.keys().map(|module| (module, self.imported(module))).collect();
        let reachable = |from: &Module| -> BTreeSet<Module> {
            let (mut seen, mut next) = (BTreeSet::new(), vec![from.clone()]);
            while let Some(module) = next.pop() {
                for other in graph.get(&module).into_iter().flatten() {
                    if seen.insert(other.clone()) {
                        next.push(other.clone());
                    }
                }
            }
            seen
        };
        let reached: BTreeMap<&Module, BTreeSet<Module>> =
            graph.keys().map(|module| (*module, reachable(module))).collect();
        let mut circles = BTreeSet::new();
        for (module, others) in &reached {
            if others.contains(*module) {
                let back = others.iter().filter(|other| reached[other].contains(*module));
                circles.insert(back.map(|other| other.join("/")).collect::<Vec<String>>());
            }
        }
        circles.into_iter().collect()
    }
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Returns the module of a file below `src`.
fn module_of(file: &Path) -> Module {
    let mut module: Module =
        file.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
        module.pop();
    }
    module
}

/// Collects the imports of one file.
struct Reader {
    /// The module that is read, with the names of modules that stand within the file.
    module: Module,
    imports: Imports,
}

impl Reader {
    /// Returns the path from the root of this crate; `None` for a path into another one.
    fn absolute(&self, path: &[String]) -> Option<Module> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([&self.module, rest].concat()),
            "super" => {
                let num = path.iter().take_while(|name| *name == "super").count();
                Some([&self.module[..self.module.len() - num], &path[num..]].concat())
            }
            _ => None,
        }
    }

    fn add(&mut self, path: &[String]) {
        match self.absolute(path) {
            Some(path) => _ = self.imports.own.insert(path),
            None => _ = self.imports.foreign.insert(path.join("::")),
        }
    }

    fn add_use(&mut self, tree: &syn::UseTree, path: &mut Module, is_given_out: bool) {
        match tree {
            syn::UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.add_use(&part.tree, path, is_given_out);
                path.pop();
            }
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.add_use(tree, path, is_given_out));
            }
            syn::UseTree::Name(name) => self.add_name(path, &name.ident.to_string(), None, is_given_out),
            syn::UseTree::Rename(rename) => {
                let alias = rename.rename.to_string();
                self.add_name(path, &rename.ident.to_string(), Some(alias), is_given_out);
            }
            syn::UseTree::Glob(_) => self.add(path),
        }
    }

    fn add_name(&mut self, path: &[String], name: &str, alias: Option<String>, is_given_out: bool) {
        let mut whole = path.to_vec();
        if name != "self" {
            whole.push(name.to_owned());
        }
        if is_given_out {
            // `pub use child::Name`: whoever imports the name imports from the child.
            let target = self.absolute(&whole).unwrap_or_else(|| [self.module.as_slice(), &whole].concat());
            self.imports.re_exports.insert(alias.unwrap_or_else(|| name.to_owned()), target);
        } else {
            self.add(&whole);
        }
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) && item.content.is_some() {
            self.module.push(item.ident.to_string());
            visit::visit_item_mod(self, item);
            self.module.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_test(&item.attrs) {
            let is_given_out = !matches!(item.vis, syn::Visibility::Inherited);
            self.add_use(&item.tree, &mut Vec::new(), is_given_out);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Module = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 {
            self.add(&names);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invocation: &'ast syn::Macro) {
        // What a macro is given is not parsed as code: `crate::…` is found by its tokens.
        let text = invocation.tokens.to_string().replace(" :: ", "::");
        for found in text.split("crate::").skip(1) {
            let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            let path = found.split(|c| !is_name(c)).next().unwrap_or_default();
            let names: Module = path.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect();
            self.imports.own.insert(names);
        }
        visit::visit_macro(self, invocation);
    }
}

fn layer_of(module: &str) -> usize {
    LAYERS
        .iter()
        .position(|layer| layer.contains(&module))
        .unwrap_or_else(|| panic!("`src/{module}` has no layer: give it one in this test"))
}

#[test]
fn imports_run_from_higher_layers_to_lower_ones() {
    let krate = Crate::read();
    let mut wrong = Vec::new();
    for module in krate.modules.keys() {
        let Some(from) = module.first() else { continue };
        for other in krate.imported(module) {
            let Some(to) = other.first().filter(|to| *to != from) else { continue };
            if layer_of(to) >= layer_of(from) {
                wrong.push(format!("{} imports {}", module.join("/"), other.join("/")));
            }
        }
        for (who, stranger) in STRANGERS.iter().filter(|(who, _)| who == from) {
            let is_known = |path: &&Module| path.join("::").starts_with(stranger);
            wrong.extend(krate.modules[module].own.iter().filter(is_known).map(|path| {
                format!("{} imports {}, which {who} must not know", module.join("/"), path.join("/"))
            }));
        }
    }
    assert!(wrong.is_empty(), "against the order of layers:\n{}", wrong.join("\n"));
}

#[test]
fn each_layer_uses_no_more_of_the_outside_than_it_may() {
    let krate = Crate::read();
    let mut wrong = Vec::new();
    for (module, imports) in &krate.modules {
        let rules = FORBIDDEN.iter().filter(|(who, _)| module.first().is_some_and(|first| first == who));
        for forbidden in rules.flat_map(|(_, forbidden)| forbidden.iter()) {
            let is_it = |path: &&String| {
                path.strip_prefix(forbidden).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
            };
            wrong.extend(
                imports.foreign.iter().filter(is_it).map(|path| format!("{} uses {path}", module.join("/"))),
            );
        }
    }
    assert!(wrong.is_empty(), "not for its layer:\n{}", wrong.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let found: Vec<String> = Crate::read().circles().iter().map(|files| files.join(" ⇄ ")).collect();
    assert!(found.is_empty(), "circles:\n{}", found.join("\n"));
}

#[test]
fn an_import_is_found_however_it_is_written() {
    let text = "
        use crate::a::{self, b::{C, D as E}};
        use super::f::*;
        pub use g::H;
        #[cfg(test)]
        use crate::only_in_tests::X;
        mod inner { use super::j::K; fn f() { super::super::l::m() } }
        fn f() -> crate::n::O { println!(\"{}\", crate::p::Q) }
        #[cfg(test)]
        mod tests { use crate::only_in_tests::Y; }
    ";
    let path = |text: &str| -> Module { text.split("::").map(str::to_owned).collect() };
    let mut reader = Reader { module: path("x::y"), imports: Imports::default() };
    reader.visit_file(&syn::parse_file(text).unwrap());
    let found: Vec<String> = reader.imports.own.iter().map(|path| path.join("::")).collect();
    assert_eq!(found, ["a", "a::b::C", "a::b::D", "n::O", "p::Q", "x::f", "x::l::m", "x::y::j::K"]);
    assert_eq!(reader.imports.re_exports["H"], path("x::y::g::H"));
}
