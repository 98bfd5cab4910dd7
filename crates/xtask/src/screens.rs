//! Photographs every page and checks its accessibility, through the Node project in `tests/browser`.
//! Called as `cargo xtask screens [PAGE...]` after a change of the pages; the pictures in `docs/screens` are committed.
//! It knows how to build the server and find the browser, not which pages there are.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::failure::Result;
use crate::{chromium, node, step, test};

pub(crate) fn run(root: &Path, pages: &[String]) -> Result<()> {
    let node = node::find()?;
    let chromium = chromium::find()?;
    let project = root.join("tests/browser");
    node::install(&node, &project)?;
    step::run(step::cargo().current_dir(root).args(["build", "--locked", "--package", "keyward"]))?;

    step::run(
        Command::new(node)
            .current_dir(project)
            .stdin(Stdio::null())
            .arg("screens.mjs")
            .args(pages)
            .env("KEYWARD_TEST_CHROMIUM", chromium)
            .env("KEYWARD_TEST_SERVER", test::built("keyward")),
    )
}
