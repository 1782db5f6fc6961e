//! Tells Cargo that the migrations and the dashboard's build become part of the binary.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
