//! The wire, described for programs: an OpenAPI 3.1 document, put together from the tables that stand beside the routes and
//! from the schemas of this folder.
//! `keyward generate openapi` prints it, and a test sends requests that are made from it.
//! Tables and not the attributes of a derive crate: with those the same document made the binary 1.5 MB larger and this crate
//! slow to build.

mod bodies;
mod courier;
mod flows;
mod identities;
mod operation;
mod refusals;
mod schema;
mod sessions;

use serde_json::{Map, Value, json};

pub(crate) use operation::*;
pub(crate) use schema::Shape;

/// The document for both ports. Paths below `/admin` are the admin port's, all others the public one's.
pub fn openapi() -> Value {
    let mut paths = Map::new();
    for operation in crate::public::operations().chain(crate::admin::operations()) {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.to_lowercase()] = operation.json();
    }
    let tables = [flows::SCHEMAS, bodies::SCHEMAS, sessions::SCHEMAS, identities::SCHEMAS, courier::SCHEMAS, refusals::SCHEMAS];
    let schemas: Map<String, Value> =
        tables.into_iter().flatten().map(|schema| (schema.name.to_owned(), schema.json())).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Keyward",
            "description": "An identity server that speaks the self-service API of Ory Kratos.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "tags": [
            { "name": "frontend", "description": "What apps and browsers ask." },
            { "name": "identity", "description": "What operators ask, on the admin port, where nobody is asked who they are." },
            { "name": "courier", "description": "What operators ask about mail." },
            { "name": "metadata", "description": "What machines ask." },
        ],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "sessionToken": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Session-Token",
                    "description": "What apps get when people sign in.",
                },
                "sessionCookie": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "ory_kratos_session",
                    "description": "What browsers get; `session.cookie.name` may give it another name.",
                },
            },
        },
    })
}
