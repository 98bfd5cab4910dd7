//! An operator at the admin port: identities and sessions from the outside of every flow.
//! Tests get one from [`crate::Trial::admin`].
//! Sends no credentials, since that port asks for none.

use serde_json::{Value, json};

use crate::actor::PASSWORD;
use crate::call::Call;
use crate::trial::Trial;

/// The operator.
pub struct Admin(Trial);

impl Admin {
    pub(crate) const fn new(trial: Trial) -> Self {
        Self(trial)
    }

    /// A request to a path such as `/admin/identities`.
    pub fn call(&self, method: &str, path: &str) -> Call<'_> {
        let url = format!("{}{path}", self.0.admin_base());
        Call::new(&self.0.world.http, method, url, Box::new(|_| {})).header("accept", "application/json")
    }

    /// Creates an identity from the body of `POST /admin/identities`.
    pub async fn create(&self, body: &Value) -> Value {
        self.call("POST", "/admin/identities").json(body).await.expect(201).json()
    }

    /// Creates a person with an e-mail address and [`PASSWORD`].
    pub async fn create_person(&self, email: &str) -> Value {
        let password = json!({ "config": { "password": PASSWORD } });
        self.create(&json!({ "schema_id": "person", "traits": { "email": email }, "credentials": { "password": password } }))
            .await
    }

    /// An identity.
    pub async fn identity(&self, id: impl std::fmt::Display) -> Value {
        self.call("GET", &format!("/admin/identities/{id}")).await.expect(200).json()
    }
}
