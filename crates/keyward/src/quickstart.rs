//! `keyward quickstart`: a complete server on a new SQLite file, with generated secrets and the built-in pages.
//! For a first look and for local development; a second run finds everything as the first one left it.
//! Writes an ordinary configuration file, so that growing out of it means editing, not starting over.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use keyward_config::Quickstart;
use keyward_model::{Random, Secret};

use crate::reload::Origin;
use crate::serve::{self, Start};
use crate::system::SystemRandom;
use crate::{Failure, cli};

/// Only this machine can reach a quickstart.
const HOST: &str = "127.0.0.1";
/// What it is called: keys belong to names, and browsers take no address for one.
const NAME: &str = "localhost";
const PORT: u16 = 4433;
const ADMIN_PORT: u16 = 4434;

/// Runs the command.
pub(crate) fn run(arguments: &cli::Quickstart) -> Result<(), Failure> {
    let data = &arguments.data;
    let folder = data.display().to_string();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .map_err(|error| Failure::new(&format!("cannot make the folder {folder}"), &error))?;
    let schema = data.join("identity.schema.json");
    if !schema.exists() {
        write_new(&schema, keyward_config::DEFAULT_SCHEMA)?;
    }
    let config = data.join("keyward.yml");
    if !config.exists() {
        write_new(&config, &first_config(arguments, data, &schema)?)?;
    }
    let origin = Origin { files: vec![config], overrides: port_overrides(arguments), dev: false };
    serve::serve(origin, Start::Quickstart, true, |ready| {
        let base = ready.public.trim_end_matches('/');
        println!("Keyward is ready.");
        println!();
        println!("  Sign in or sign up:  {base}/ui/login");
        println!("  Your settings:       {base}/ui/settings");
        println!("  Mail that it sends:  {base}/ui/mailbox");
        println!("  Everything it keeps: {folder}");
        println!();
        println!("Stop it with Ctrl-C; the next start finds everything as it is now.");
    })
}

fn first_config(arguments: &cli::Quickstart, data: &Path, schema: &Path) -> Result<String, Failure> {
    let (port, admin_port) = (arguments.port.unwrap_or(PORT), arguments.admin_port.unwrap_or(ADMIN_PORT));
    let random: &dyn Random = &SystemRandom;
    let settings = Quickstart {
        public_base_url: base_url(port),
        public_listen: (HOST.to_owned(), port),
        admin_base_url: base_url(admin_port),
        admin_listen: (HOST.to_owned(), admin_port),
        data_dir: absolute(data)?,
        schema_url: format!("file://{}", absolute(schema)?),
        secret: Secret::new(random.alphanumeric(43)),
    };
    Ok(settings.text())
}

/// Ports on the command line win over the file of an earlier run, in the way that environment variables do.
fn port_overrides(arguments: &cli::Quickstart) -> BTreeMap<String, String> {
    let mut overrides = BTreeMap::new();
    let mut set = |name: &str, value: String| overrides.insert(name.to_owned(), value);
    if let Some(port) = arguments.port {
        set("SERVE_PUBLIC_PORT", port.to_string());
        set("SERVE_PUBLIC_BASE_URL", base_url(port));
        set("SELFSERVICE_DEFAULT_BROWSER_RETURN_URL", format!("{}ui/settings", base_url(port)));
        set("SELFSERVICE_ALLOWED_RETURN_URLS_0", base_url(port));
    }
    if let Some(port) = arguments.admin_port {
        set("SERVE_ADMIN_PORT", port.to_string());
        set("SERVE_ADMIN_BASE_URL", base_url(port));
    }
    overrides
}

fn base_url(port: u16) -> String {
    format!("http://{NAME}:{port}/")
}

/// Creates a file that only its owner can read.
fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(&format!("cannot write {}", path.display()), &error);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

fn absolute(path: &Path) -> Result<String, Failure> {
    let path = std::path::absolute(path).map_err(|error| Failure::new("cannot find the data folder", &error))?;
    path.to_str().map(str::to_owned).ok_or_else(|| Failure::say("the data folder has a name that is not text"))
}
