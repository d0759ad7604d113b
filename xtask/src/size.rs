//! `cargo xtask size`: what a payer downloads, and the limit it must keep.

use std::fs;

use crate::{
    command::{Failure, Result},
    page::{self, Warnings},
    setup::{self, Compiler},
    workspace::Workspace,
};

/// The whole live page with brotli, in bytes.
const LIMIT: u64 = 95_000;

/// The most the HTML may weigh with brotli, in bytes. The server draws it, so an end-to-end test holds it to this limit; here
/// it counts in full.
const FIRST_FRAME: u64 = 8_000;

pub fn run(workspace: &Workspace) -> Result {
    let tools = setup::for_page(workspace)?;
    page::build(workspace, &tools, Warnings::Print)?;
    check(workspace, &tools.compiler)
}

/// Prints the weight of the built page.
///
/// # Errors
///
/// If it is above the limit, or there is no page.
pub fn check(workspace: &Workspace, compiler: &Compiler) -> Result {
    let files = measure(workspace)?;
    println!("{}", table(&files));
    if !compiler.builds_library() {
        println!(
            "\nThe standard library in it is the ready-made one, which is larger than one built for size. That needs the \
             library's sources: rustup component add rust-src"
        );
    }

    let total = total(&files);
    if LIMIT < total {
        return Err(Failure::new(format!(
            "the page weighs {total} bytes with brotli, which is over the limit of {LIMIT}"
        )));
    }
    Ok(())
}

/// One file and its sizes in bytes.
struct File {
    name: String,
    raw: u64,
    gzip: u64,
    brotli: u64,
}

/// The files that the page loads, by their copies as they are sent.
fn measure(workspace: &Workspace) -> Result<Vec<File>> {
    let dist = workspace.dist();
    let size = |name: &str| {
        let path = dist.join(name);
        fs::metadata(&path).map(|metadata| metadata.len()).map_err(|error| Failure::file(&path, &error))
    };

    let mut files = Vec::new();
    for entry in fs::read_dir(&dist).map_err(|error| Failure::file(&dist, &error))? {
        let entry = entry.map_err(|error| Failure::file(&dist, &error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if [".js", ".wasm"].iter().any(|ending| name.ends_with(ending)) {
            let (raw, gzip, brotli) = (size(&name)?, size(&format!("{name}.gz"))?, size(&format!("{name}.br"))?);
            files.push(File { name, raw, gzip, brotli });
        }
    }
    if files.is_empty() {
        return Err(Failure::new(format!("{} holds no page", dist.display())));
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(files)
}

fn total(files: &[File]) -> u64 {
    FIRST_FRAME + files.iter().map(|file| file.brotli).sum::<u64>()
}

fn table(files: &[File]) -> String {
    let line = |name: &str, sizes: [&str; 3]| {
        let [raw, gzip, brotli] = sizes;
        format!("{name:<34} {raw:>10} {gzip:>10} {brotli:>10}")
    };

    let mut lines = vec![line("bytes", ["raw", "gzip", "brotli"])];
    lines.extend(files.iter().map(|file| {
        let [raw, gzip, brotli] = [file.raw, file.gzip, file.brotli].map(grouped);
        line(&file.name, [&raw, &gzip, &brotli])
    }));
    lines.push(line("HTML, at most", ["", "", &grouped(FIRST_FRAME)]));
    lines.push(line("total", ["", "", &grouped(total(files))]));
    lines.push(line("limit", ["", "", &grouped(LIMIT)]));
    lines.join("\n")
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let mut groups: Vec<&str> = (first..digits.len()).step_by(3).map(|start| &digits[start..start + 3]).collect();
    if first != 0 {
        groups.insert(0, &digits[..first]);
    }
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        let check = |number, spelled| assert_eq!(grouped(number), spelled);
        check(0, "0");
        check(999, "999");
        check(1_000, "1,000");
        check(67_179, "67,179");
        check(187_220, "187,220");
        check(1_234_567, "1,234,567");
    }

    #[test]
    fn total_counts_the_largest_html_that_is_allowed() {
        let files = [
            File { name: "frontend.js".to_owned(), raw: 42_000, gzip: 8_000, brotli: 6_043 },
            File { name: "frontend_bg.wasm".to_owned(), raw: 180_000, gzip: 80_000, brotli: 67_179 },
        ];
        assert_eq!(total(&files), 81_222);
        assert_eq!(
            table(&files),
            "\
bytes                                     raw       gzip     brotli
frontend.js                            42,000      8,000      6,043
frontend_bg.wasm                      180,000     80,000     67,179
HTML, at most                                                 8,000
total                                                        81,222
limit                                                        95,000"
        );
    }
}
