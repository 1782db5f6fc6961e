//! Tells Cargo that the migrations and the dashboard's build become part of the binary.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
    println!("cargo::rerun-if-changed=dashboard/dist");
    // Without a build of the dashboard the program says how to make one.
    if let Err(error) = std::fs::create_dir_all("dashboard/dist") {
        println!("cargo::warning=failed to make dashboard/dist: {error}");
    }
}
