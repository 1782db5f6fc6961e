//! `tickwire venues`: what there is, what it needs, and no key in it.

use crate::support::process::{Program, command};
use serde_json::Value;
use tickwire::actors::ingest::registry::VENUES;

#[test]
fn providers_are_listed_for_people_and_for_programs() {
    let text = Program::start(command(&["venues"])).wait();
    assert!(text.status.success() && text.stdout.starts_with("simulated: "), "{}", text.stdout);
    let json = Program::start(command(&["venues", "--json"])).wait();
    let all: Vec<Value> = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(all.len(), VENUES.len() + 2);
    for (entry, known) in VENUES.iter().zip(&all[2..]) {
        assert_eq!(known["name"], entry.name);
        assert!(text.stdout.contains(&format!("\n{}", entry.name)), "{}", text.stdout);
        let Some(key) = entry.needed_key else { continue };
        assert_eq!(known["is_configured"], false, "{}", entry.name);
        let mut with_key = command(&["venues", "--json"]);
        let variable = match entry.key_variable.filter(|_| key == "key") {
            Some(variable) => variable.to_owned(),
            None => format!("TICKWIRE__VENUES__{}__{}", entry.name, key).to_ascii_uppercase(),
        };
        with_key.env(variable, "hunter2-hunter2");
        let ended = Program::start(with_key).wait();
        assert!(!ended.stdout.contains("hunter2"), "{}", ended.stdout);
        let all: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap();
        let found = all.iter().find(|known| known["name"] == entry.name).unwrap();
        assert_eq!(found["is_configured"], true, "{}", entry.name);
    }
}
