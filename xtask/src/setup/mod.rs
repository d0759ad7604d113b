//! Set-up: installs what a command needs and is not there, and says what, why and how far it is.
//!
//! A step asks first and installs only what is missing, so the second time costs less than a second. Nothing is
//! installed into the checkout but the `node_modules` of `contracts`, `clients/typescript` and `tests/accessibility`.

mod apt;
mod browser;
mod cargo_tools;
mod node;
mod postgres;
mod python;
mod wasm;

use std::{ffi::OsString, path::PathBuf, process::Command};

pub use browser::Browser;
pub use wasm::Compiler;

use crate::{
    command::{self, Result},
    lock,
    workspace::Workspace,
};

/// Trunk 0.22 needs a newer compiler than the oldest we support.
const TRUNK: &str = "0.21.14";
const CARGO_DENY: &str = "0.20.2";
/// Other versions change other things, so that what is explained would not fit.
const CARGO_MUTANTS: &str = "27.1.0";
/// The name of the step that installs what the contracts need.
const CONTRACTS: &str = "Solidity compiler, tests and local chain";
const SOLANA: &str = "local Solana";

/// What builds the page.
pub struct PageTools {
    pub compiler: Compiler,
    /// Folders that hold Trunk, wasm-bindgen and wasm-opt.
    folders: Vec<PathBuf>,
    /// Says which tools these are; the page is built again when it changes.
    pub versions: String,
}

impl PageTools {
    /// A program in the environment that compiles to WASM.
    ///
    /// Only such commands get it: the server is built by the compiler that the caller has chosen.
    pub fn command(&self, workspace: &Workspace, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&workspace.root);
        command::clean_environment(&mut command, workspace);
        self.compiler.apply(&mut command, &self.folders);
        command
    }
}

/// `cargo deny` at a version that is known to understand `deny.toml`.
pub struct Deny {
    path: OsString,
}

impl Deny {
    pub fn command(&self, workspace: &Workspace) -> Command {
        let mut command = command::cargo(workspace);
        command.env("PATH", &self.path).arg("deny");
        command
    }
}

/// `cargo mutants` at the version whose mutants are explained.
pub struct Mutator {
    path: OsString,
}

impl Mutator {
    pub fn command(&self, workspace: &Workspace) -> Command {
        let mut command = command::cargo(workspace);
        command.env("PATH", &self.path).arg("mutants");
        command
    }
}

/// What a page is looked at with.
pub struct BrowserTools {
    pub page: PageTools,
    pub browser: Browser,
}

/// Everything the tests need.
pub struct TestTools {
    pub page: PageTools,
    pub deny: Deny,
    pub browser: Browser,
    /// The folder with PostgreSQL's programs.
    pub postgres: PathBuf,
    /// The program that tests the API against its description.
    pub schemathesis: PathBuf,
}

/// For commands that build the page.
pub fn for_page(workspace: &Workspace) -> Result<PageTools> {
    page_tools(workspace, &mut Steps::of(5))
}

/// For the demo: the page, and the local chains.
pub fn for_demo(workspace: &Workspace) -> Result<PageTools> {
    let steps = &mut Steps::of(7);
    let page = page_tools(workspace, steps)?;
    node::install_packages(workspace, &steps.next(CONTRACTS), &node::CONTRACTS)?;
    node::install_packages(workspace, &steps.next(SOLANA), &node::SOLANA)?;
    Ok(page)
}

/// For what compiles and runs the contracts.
pub fn for_contracts(workspace: &Workspace) -> Result {
    let steps = &mut Steps::of(2);
    node::find(&steps.next("Node.js"))?;
    node::install_packages(workspace, &steps.next(CONTRACTS), &node::CONTRACTS)
}

/// For what shows the product in a browser.
pub fn for_browser(workspace: &Workspace) -> Result<BrowserTools> {
    let steps = &mut Steps::of(8);
    let page = page_tools(workspace, steps)?;
    node::install_packages(workspace, &steps.next(CONTRACTS), &node::CONTRACTS)?;
    node::install_packages(workspace, &steps.next(SOLANA), &node::SOLANA)?;
    let browser = browser::find(&steps.next("Chromium with chromedriver"))?;
    Ok(BrowserTools { page, browser })
}

/// For the checks that need no build.
pub fn for_checks(workspace: &Workspace) -> Result<Deny> {
    check_tools(workspace, &mut Steps::of(2))
}

/// For what changes the money rules to see whether a test notices.
pub fn for_mutants(workspace: &Workspace) -> Result<Mutator> {
    let mutants = cargo_tools::Tool {
        package: "cargo-mutants",
        program: "cargo-mutants",
        version: CARGO_MUTANTS,
        subcommand: Some("mutants"),
        reason: "it makes the changes that tests should notice",
        duration: "2 minutes",
    };
    let folder = mutants.find(workspace, &Steps::of(1).next("cargo-mutants"))?;
    Ok(Mutator { path: command::path_with(&[folder]) })
}

/// For all tests.
pub fn for_tests(workspace: &Workspace) -> Result<TestTools> {
    let steps = &mut Steps::of(14);
    let page = page_tools(workspace, steps)?;
    node::install_packages(workspace, &steps.next(CONTRACTS), &node::CONTRACTS)?;
    node::install_packages(workspace, &steps.next("TypeScript"), &node::CLIENT)?;
    node::install_packages(workspace, &steps.next(SOLANA), &node::SOLANA)?;
    node::install_packages(workspace, &steps.next("rules of accessibility"), &node::ACCESSIBILITY)?;
    let deny = check_tools(workspace, steps)?;
    let browser = browser::find(&steps.next("Chromium with chromedriver"))?;
    let postgres = postgres::find(&steps.next("PostgreSQL"))?;
    let schemathesis = python::find(workspace, &steps.next("Schemathesis"))?;
    Ok(TestTools { page, deny, browser, postgres, schemathesis })
}

fn page_tools(workspace: &Workspace, steps: &mut Steps) -> Result<PageTools> {
    let wasm_bindgen = lock::only_version(&lock::read(workspace)?, "wasm-bindgen")?.to_owned();

    let compiler = Compiler::find(&steps.next("compiler for WASM"))?;
    let trunk = cargo_tools::Tool {
        package: "trunk",
        program: "trunk",
        version: TRUNK,
        subcommand: None,
        reason: "it puts the page together",
        duration: "3 minutes",
    };
    let bindgen = cargo_tools::Tool {
        package: "wasm-bindgen-cli",
        program: "wasm-bindgen",
        version: &wasm_bindgen,
        subcommand: None,
        reason: "it writes the script that loads the WASM, and must equal the version in Cargo.lock",
        duration: "1 minute",
    };
    let mut folders = vec![trunk.find(workspace, &steps.next("Trunk"))?];
    folders.push(bindgen.find(workspace, &steps.next("wasm-bindgen"))?);
    let wasm_opt = wasm::find_optimizer(&steps.next("wasm-opt"))?;
    node::find(&steps.next("Node.js"))?;

    let versions = format!("{} / trunk {TRUNK} / wasm-bindgen {wasm_bindgen} / {wasm_opt}", compiler.description());
    Ok(PageTools { compiler, folders, versions })
}

fn check_tools(workspace: &Workspace, steps: &mut Steps) -> Result<Deny> {
    cargo_tools::find_components(workspace, &steps.next("rustfmt and Clippy"))?;
    let deny = cargo_tools::Tool {
        package: "cargo-deny",
        program: "cargo-deny",
        version: CARGO_DENY,
        subcommand: None,
        reason: "it checks the licences and versions of what we depend on",
        duration: "1 minute",
    };
    let folder = deny.find(workspace, &steps.next("cargo-deny"))?;
    Ok(Deny { path: command::path_with(&[folder]) })
}

/// Counts the steps of one set-up.
struct Steps {
    number: usize,
    total: usize,
}

impl Steps {
    fn of(total: usize) -> Self {
        Self { number: 0, total }
    }

    fn next(&mut self, name: &'static str) -> Step {
        self.number += 1;
        Step { label: format!("[{}/{}] {name}", self.number, self.total) }
    }
}

/// One step, which says how it went.
struct Step {
    label: String,
}

impl Step {
    fn ready(&self, what: &str) {
        println!("{}: {what}", self.label);
    }

    fn installing(&self, how: &str, reason: &str) {
        println!("{}: missing, and needed because {reason}\n      {how}", self.label);
    }
}
