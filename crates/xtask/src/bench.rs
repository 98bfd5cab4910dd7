//! Starts the benchmarks in an optimised build.
//! Called as `cargo xtask bench`; every argument goes to `keyward-bench`.
//! It knows nothing about what is measured.

use std::path::Path;

use crate::failure::Result;
use crate::step;

pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let mut command = step::cargo();
    command.current_dir(root).args(["run", "--release", "--locked", "--package", "keyward-bench", "--"]).args(arguments);
    step::run(&mut command)
}
