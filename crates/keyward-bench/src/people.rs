//! Fills a database with signed-in people, the way they would come: each registers through the API and gets a session.
//! The runner calls it once per database, before anything is measured.
//! It knows the registration flow and nothing of the store.

use std::net::SocketAddr;

use serde::Deserialize;

use crate::connection::{Connection, get, post};
use crate::failure::{Failure, Result, during};
use crate::load::{Person, flow_id};

/// Registers this many people, over a few connections at once.
pub(crate) async fn register(address: SocketAddr, count: usize) -> Result<Vec<Person>> {
    const CONNECTIONS: usize = 8;
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|first| {
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await.map_err(during("connecting to the server"))?;
                let mut people = Vec::new();
                for number in (first..count).step_by(CONNECTIONS) {
                    people.push(register_one(&mut connection, address, number).await?);
                }
                Ok::<_, Failure>(people)
            })
        })
        .collect();
    let mut people = Vec::with_capacity(count);
    for task in tasks {
        people.extend(task.await.map_err(during("filling the database"))??);
    }
    Ok(people)
}

async fn register_one(connection: &mut Connection, address: SocketAddr, number: usize) -> Result<Person> {
    #[derive(Deserialize)]
    struct Registered {
        session_token: String,
    }
    // Equal lengths, so that all answers have the same size.
    let email = format!("person-{number:07}@example.org");
    let answer = connection.succeed(&get(address, "/self-service/registration/api", None)).await?;
    let path = format!("/self-service/registration?flow={}", flow_id(answer.body)?);
    let body = serde_json::json!({
        "method": "password",
        "password": format!("Gleaming-Otter-{number:07}"),
        "traits": { "email": email, "name": { "first": "Bench", "last": "Mark" } },
    });
    let answer = connection.succeed(&post(address, &path, None, &body.to_string())).await?;
    let registered: Registered = serde_json::from_slice(answer.body).map_err(during("reading the answer to a registration"))?;
    Ok(Person { email, token: registered.session_token })
}
