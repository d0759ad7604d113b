//! Photographs every state of the payer's page in each theme, width and language, and puts the pictures of a kind
//! beside each other on a sheet.
//!
//! The folder of the built page and the one to write to are the arguments. `cargo xtask gallery` names both.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use e2e::{
    TestFolder,
    chromium::{Browser, Chromium, NARROW, SMALL, Scheme, Viewport, WIDE},
    gallery::{self, Gallery},
    outcome::{Failure, Outcome},
};
use frontend::Language;
use image::{RgbaImage, imageops};

const THEMES: [(Scheme, &str); 5] = [
    (Scheme::Light, "light"),
    (Scheme::Dark, "dark"),
    (Scheme::HighContrast, "contrast"),
    (Scheme::HighContrastDark, "contrast-dark"),
    (Scheme::ForcedColors, "forced"),
];

#[tokio::main]
async fn main() -> ExitCode {
    let folders: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [dist, folder, only @ ..] = folders.as_slice() else {
        eprintln!("gallery: say where the built page is, and which folder to write to");
        return ExitCode::FAILURE;
    };
    let only: Vec<String> = only.iter().map(|name| name.display().to_string()).collect();
    match photograph(dist, folder, &only).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("gallery: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn photograph(dist: &Path, folder: &Path, only: &[String]) -> Outcome {
    fs::create_dir_all(folder)?;
    let gallery = Gallery::open(dist).await?;
    let profiles = TestFolder::new();
    let chromium = Chromium::start(profiles.path())?;
    let browser = chromium.open(WIDE, Scheme::Light).await?;
    let mut count = 0;
    for language in Language::ALL {
        for (scheme, theme) in THEMES {
            for viewport in [SMALL, NARROW, WIDE] {
                let kind = format!("{}-{theme}-{}", language.code(), viewport.width);
                if !only.is_empty() && !only.iter().any(|part| kind.contains(part)) {
                    continue;
                }
                browser.prefer(scheme).await?;
                browser.resize(viewport).await?;
                count += shoot(&browser, &gallery, language, &kind, folder, viewport).await?;
            }
        }
    }
    println!("{count} pictures and their sheets in {}", folder.display());
    Ok(())
}

/// Takes all pictures of a kind, and the sheet of them.
async fn shoot(
    browser: &Browser,
    gallery: &Gallery,
    language: Language,
    kind: &str,
    folder: &Path,
    viewport: Viewport,
) -> Outcome<usize> {
    let mut pictures = Vec::new();
    for scene in gallery::scenes() {
        browser.go_to(&gallery.address(&scene, language)).await?;
        let picture = browser.picture().await?;
        let path = folder.join(format!("{}-{kind}.png", scene.name));
        fs::write(&path, &picture).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
        pictures.push(image::load_from_memory(&picture)?.into_rgba8());
    }
    sheet(&pictures, viewport).save(folder.join(format!("sheet-{kind}.png")))?;
    Ok(pictures.len())
}

/// Pictures beside and below each other, with a little space between them.
fn sheet(pictures: &[RgbaImage], viewport: Viewport) -> RgbaImage {
    const SPACE: u32 = 12;
    let columns = if viewport == WIDE { 4 } else { 8 };
    let rows: Vec<&[RgbaImage]> = pictures.chunks(columns).collect();
    let heights: Vec<u32> =
        rows.iter().map(|row| row.iter().map(RgbaImage::height).max().unwrap_or_default()).collect();
    let width = u32::try_from(columns).unwrap_or(1) * (viewport.width + SPACE);
    let height = heights.iter().map(|height| height + SPACE).sum();
    let mut sheet = RgbaImage::from_pixel(width, height, image::Rgba([120, 120, 120, 255]));
    let mut top = 0;
    for (row, height) in rows.into_iter().zip(heights) {
        let mut left = 0;
        for picture in row {
            imageops::replace(&mut sheet, picture, left, top);
            left += i64::from(viewport.width + SPACE);
        }
        top += i64::from(height + SPACE);
    }
    sheet
}
