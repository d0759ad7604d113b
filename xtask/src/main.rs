//! The project's own commands, run as `cargo xtask COMMAND`.
//!
//! One file per command; what they share is set-up ([`setup`]), running programs ([`command`]) and stages with times
//! ([`stages`]). There are no dependencies, so that on a fresh machine the first line of output comes within seconds.

mod bench;
mod check;
mod command;
mod demo;
mod dependencies;
mod fingerprint;
mod gallery;
mod gas;
mod lock;
mod measurements;
mod mutants;
mod openapi;
mod page;
mod screenshots;
mod setup;
mod size;
mod soak;
mod stages;
mod test;
mod workspace;

use std::process::ExitCode;

use command::{Failure, Result};
use workspace::Workspace;

const HELP: &str = "\
The project's own commands. Each installs what it needs first and says so.

Usage: cargo xtask COMMAND

  demo           Builds everything and starts two local chains, the server and a demo shop. Ctrl-C ends it all.
  demo --check   Makes one payment and one sweep through the same parts, then exits.
  test           Everything that proves the project, from formatting to the browser. This is what CI runs.
  check          The quick part of it: formatting, lints, documentation, dependencies.
  openapi        Renews docs/openapi.json, the copy of the API's description, and the client's types.
  page           Builds the payer's page into frontend/dist, unless it is there already.
  size           Prints what the page weighs and fails above the limit.
  gas            Measures what the contracts cost on a local chain, into contracts/GAS.md.
  bench [NAME…]  Measures what the design sets limits for: merchant_api, event_log, million_invoices, nodes, webhook_delay, watching,
                 payer_page, payment_to_page.
  soak [NAME…]   The counted tests with their full counts: events, kills, histories, sockets, pauses. Both fill docs/measurements.md.
  mutants        Changes crates/domain, or only the files of it that are named, in one place at a time, and fails if its tests
                 let a change pass that crates/domain/mutants.md does not explain.
  gallery [KIND…]  Takes pictures of every state of the payer's page in each theme, width and language, into target/gallery;
                 en, ar, light, dark, contrast, forced, 320, 390 or 1280 leave the others out.
  screenshots    Takes pictures of the product in every state, into docs/screenshots.
  help           Prints this.

Environment:
  PEPAY_TOOLS_DIR       where Trunk and wasm-bindgen are kept (default: the user's cache folder, under pepay/tools)
  RUSTUP_AUTO_INSTALL   0 means that rustup is never asked to download anything
  CHROMEDRIVER, CHROMIUM  the browser for `test`, `bench`, `gallery` and `screenshots` (default: found on PATH)
  POSTGRES_BIN          the folder with PostgreSQL's programs for `test` (default: Debian's newest, or on PATH)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();

    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nerror: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result {
    let workspace = Workspace::find();

    match arguments {
        ["demo"] => demo::run(&workspace),
        ["demo", "--check"] => demo::check(&workspace),
        ["test"] => test::run(&workspace),
        ["check"] => check::run(&workspace),
        ["openapi"] => openapi::run(&workspace),
        ["page"] => page::run(&workspace),
        ["size"] => size::run(&workspace),
        ["gas"] => gas::run(&workspace),
        ["bench", names @ ..] if names.iter().all(|name| bench::is_known(name)) => bench::run(&workspace, names),
        ["soak", names @ ..] if names.iter().all(|name| soak::is_known(name)) => soak::run(&workspace, names),
        ["mutants", files @ ..] => mutants::run(&workspace, files),
        ["gallery", kinds @ ..] => gallery::run(&workspace, kinds),
        ["screenshots"] => screenshots::run(&workspace),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(Failure::new(format!("unknown command `{}`\n\n{HELP}", other.join(" ")))),
    }
}
