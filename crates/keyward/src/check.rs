//! `keyward config check` and `keyward config show`: a configuration is judged, or shown without its secrets, and nothing starts.
//! Operators run it before a deployment, by hand or in a pipeline.
//! Judges what `serve` judges before it opens the database.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyward_config::Loaded;
use keyward_http::TlsKeys;
use keyward_services::App;
use keyward_store::Store;

use crate::reload::complete_secrets;
use crate::system::{SystemClock, SystemRandom};
use crate::{Failure, block_on, cli, serve};

/// `keyward config check`: every mistake ends it with exit code 1, warnings do not.
pub(crate) fn check(arguments: &cli::ConfigCheck) -> Result<(), Failure> {
    let mut loaded = load(arguments)?;
    for warning in &loaded.warnings {
        println!("warning: {warning}");
    }
    complete_secrets(&mut loaded, &mut None);
    let warnings = loaded.warnings.len();
    let config = loaded.config;
    for (which, tls) in [("public", &config.public.tls), ("admin", &config.admin.tls)] {
        if let Some(tls) = tls {
            TlsKeys::load(tls.clone()).map_err(|error| Failure::new(&format!("serve.{which}.tls"), &error))?;
        }
    }
    block_on(async {
        // Schemas, keys and hash parameters are judged by building with them; no database of the configuration is touched.
        let store = Store::open("memory").await.map_err(|error| Failure::new("cannot make a database in memory", &error))?;
        App::build(config, store, Arc::new(SystemClock), Arc::new(SystemRandom), serve::cores())
            .map_err(|error| Failure::new("this configuration cannot be served", &error))
    })?;
    match warnings {
        0 => println!("The configuration can be used."),
        1 => println!("The configuration can be used, with the warning above."),
        _ => println!("The configuration can be used, with the {warnings} warnings above."),
    }
    Ok(())
}

/// `keyward config show`: the merged configuration as JSON, secrets masked.
pub(crate) fn show(arguments: &cli::ConfigCheck) -> Result<(), Failure> {
    // An alternative form that `{}` does not have: indented.
    println!("{:#}", load(arguments)?.effective.masked());
    Ok(())
}

fn load(arguments: &cli::ConfigCheck) -> Result<Loaded, Failure> {
    serve::load(&serve::read(&arguments.config)?, &BTreeMap::new(), arguments.dev)
}
