//! Nothing is promised that the program does not keep: every key of the configuration is read somewhere, and every series is
//! counted somewhere. Read from the sources, since what is never touched shows in no run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};

/// What the sources say.
#[derive(Default)]
struct Found {
    /// Fields of the sections of the configuration, as `Section.field`.
    keys: BTreeSet<(String, String)>,
    /// Fields of the structs that hold series.
    series: BTreeSet<(String, String)>,
    /// Fields that some code reads, but for what checks and prints the configuration.
    read: BTreeSet<String>,
    /// Fields that code outside the metrics reads.
    counted: BTreeSet<String>,
}

/// Reads one file.
struct Reader<'f> {
    found: &'f mut Found,
    is_config: bool,
    is_metrics: bool,
    /// The file reads every key, whatever it is good for.
    reads_all: bool,
}

impl Reader<'_> {
    fn touch(&mut self, field: String) {
        if !self.is_metrics {
            self.found.counted.insert(field.clone());
        }
        if !self.reads_all {
            self.found.read.insert(field);
        }
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

/// True for a section of the configuration: one that refuses keys that it does not know.
fn is_section(item: &syn::ItemStruct) -> bool {
    item.attrs.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => {
            list.path.is_ident("serde") && list.tokens.to_string().contains("deny_unknown_fields")
        }
        _ => false,
    })
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        let name = item.ident.to_string();
        for field in &item.fields {
            let (Some(field_name), is_public) =
                (&field.ident, matches!(field.vis, syn::Visibility::Public(_)))
            else {
                continue;
            };
            let entry = (name.clone(), field_name.to_string());
            if self.is_config && is_section(item) && is_public {
                self.found.keys.insert(entry);
            } else if self.is_metrics && name.ends_with("Metrics") && is_public {
                self.found.series.insert(entry);
            }
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        // Where the metrics themselves count, in a method that others call.
        let counts = ["inc", "inc_by", "set", "observe"].iter().any(|name| call.method == name);
        if let (true, syn::Expr::Field(syn::ExprField { member: syn::Member::Named(name), .. })) =
            (counts, &*call.receiver)
        {
            self.found.counted.insert(name.to_string());
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_field(&mut self, field: &'ast syn::ExprField) {
        if let syn::Member::Named(name) = &field.member {
            self.touch(name.to_string());
        }
        visit::visit_expr_field(self, field);
    }

    fn visit_field_pat(&mut self, field: &'ast syn::FieldPat) {
        // One that is left out by name, as in `Section { key: _, .. }`, is not read.
        if let (syn::Member::Named(name), false) = (&field.member, matches!(*field.pat, syn::Pat::Wild(_))) {
            self.touch(name.to_string());
        }
        visit::visit_field_pat(self, field);
    }

    fn visit_macro(&mut self, invocation: &'ast syn::Macro) {
        // What a macro is given is not parsed as code: fields are found by the dot before them.
        let text = invocation.tokens.to_string();
        for part in text.split('.').skip(1) {
            let name: String =
                part.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            self.touch(name);
        }
        visit::visit_macro(self, invocation);
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

fn read() -> Found {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut files, mut found) = (Vec::new(), Found::default());
    list(&root, &mut files);
    for file in files {
        let place = file.strip_prefix(&root).unwrap().display().to_string();
        let parsed = syn::parse_file(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let mut reader = Reader {
            found: &mut found,
            is_config: place.starts_with("config/") || place == "actors/ingest/config.rs",
            is_metrics: place.starts_with("metrics"),
            reads_all: ["config/validate.rs", "config/print.rs"].contains(&place.as_str()),
        };
        reader.visit_file(&parsed);
    }
    found
}

#[test]
fn every_key_of_the_configuration_is_read() {
    let found = read();
    assert!(found.keys.len() > 80, "{:?}", found.keys);
    let unread: Vec<_> = found.keys.iter().filter(|(_, field)| !found.read.contains(field)).collect();
    assert!(unread.is_empty(), "nothing reads these keys: {unread:?}");
}

#[test]
fn every_series_is_counted() {
    let found = read();
    assert!(found.series.len() > 50, "{:?}", found.series);
    let still: Vec<_> = found.series.iter().filter(|(_, field)| !found.counted.contains(field)).collect();
    assert!(still.is_empty(), "nothing counts these: {still:?}");
}
