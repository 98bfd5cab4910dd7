//! Finds Chromium for the browser walks and the pictures.
//! The chores `test` and `screens` call it.
//! It starts no browser; the Node project does.

use std::path::PathBuf;

use crate::failure::{Failure, Result};
use crate::machine;

/// `KEYWARD_TEST_CHROMIUM`, PATH, or Debian's package.
pub(crate) fn find() -> Result<PathBuf> {
    if let Some(given) = machine::setting("KEYWARD_TEST_CHROMIUM") {
        let chromium = PathBuf::from(given);
        if machine::is_executable(&chromium) {
            return Ok(chromium);
        }
        return Err(Failure::new(format!("KEYWARD_TEST_CHROMIUM: {} is not a program", chromium.display())));
    }
    if let Some(chromium) = on_path() {
        return Ok(chromium);
    }
    if machine::apt_install(&["chromium"])?
        && let Some(chromium) = on_path()
    {
        return Ok(chromium);
    }
    Err(Failure::new(
        "Chromium is missing. Run this and try again (or set KEYWARD_TEST_CHROMIUM, or use --only sqlite):\n\n    \
         sudo apt-get update && sudo apt-get install -y chromium",
    ))
}

fn on_path() -> Option<PathBuf> {
    ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"].into_iter().find_map(machine::on_path)
}
