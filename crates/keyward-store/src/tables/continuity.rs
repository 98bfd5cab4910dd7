//! Continuity containers: what a paused or redirected submit waits with, used at most once.
//! `services::continuity` writes and consumes them.
//! Payloads are sealed under a key that the database never sees.

use keyward_model::{ContainerId, FlowId, IdentityId, Time};

use crate::sql::declare;
use crate::{Batch, Expect, FromRow, Refusal, Row, Store, StoreError, params};

declare! { "continuity";
    FIND = "SELECT id, name, identity_id, flow_id, expires_at, payload, created_at FROM continuity_containers WHERE id = $1";
    INSERT = "INSERT INTO continuity_containers (id, name, identity_id, flow_id, expires_at, payload, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    CONSUME = "DELETE FROM continuity_containers WHERE id = $1 AND name = $2 AND flow_id = $3 AND expires_at > $4";
    DROP = "DELETE FROM continuity_containers WHERE id = $1";
}

/// A container as stored. Its columns never change.
#[derive(Clone, PartialEq, Eq)]
pub struct ContainerRow {
    /// Its id, which the browser's cookie names.
    pub id: ContainerId,
    /// What it is for, such as `ory_kratos_settings_password`.
    pub name: String,
    /// Who paused, if signed in.
    pub identity_id: Option<IdentityId>,
    /// The flow that continues.
    pub flow_id: FlowId,
    /// When it ends.
    pub expires_at: Time,
    /// Sealed content.
    pub payload: Vec<u8>,
    /// When it was made.
    pub created_at: Time,
}

impl std::fmt::Debug for ContainerRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ContainerRow({} {})", self.name, self.id)
    }
}

impl FromRow for ContainerRow {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            identity_id: row.get(2)?,
            flow_id: row.get(3)?,
            expires_at: row.get(4)?,
            payload: row.get(5)?,
            created_at: row.get(6)?,
        })
    }
}

impl Store {
    /// The container with this id, expired or not.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn find_container(&self, id: ContainerId) -> Result<Option<ContainerRow>, StoreError> {
        self.one(&FIND, params![id]).await
    }
}

impl Batch {
    /// Adds a container.
    pub fn insert_container(&mut self, container: &ContainerRow) {
        let values = params![
            container.id,
            &container.name,
            container.identity_id,
            container.flow_id,
            container.expires_at,
            container.payload.as_slice(),
            container.created_at,
        ];
        self.push(&INSERT, values, Expect::Rows(1, Refusal::AlreadyUsed));
    }

    /// Uses a container up. Refused with [`Refusal::AlreadyUsed`] when it was used or has expired. Whose it is was for the
    /// caller to check on the row that it read.
    pub fn consume_container(&mut self, container: &ContainerRow, now: Time) {
        let values = params![container.id, &container.name, container.flow_id, now];
        self.push(&CONSUME, values, Expect::Rows(1, Refusal::AlreadyUsed));
    }

    /// Removes containers that nobody will continue.
    pub fn drop_containers(&mut self, ids: &[ContainerId]) {
        for id in ids {
            self.push(&DROP, params![*id], Expect::Any);
        }
    }
}
