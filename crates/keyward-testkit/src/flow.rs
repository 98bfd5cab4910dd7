//! Flows as clients see them, and what a submit came to, in one form for all three kinds of clients.
//! Actors build both; tests read them.
//! Reads JSON only.

use serde_json::Value;

use crate::call::{Reply, parameter};

/// A flow, as fetched.
#[derive(Clone, Debug)]
pub struct Flow {
    /// `settings`, `login`, `registration`, `recovery` or `verification`.
    pub kind: String,
    /// All of it.
    pub json: Value,
}

impl Flow {
    /// Its id.
    #[track_caller]
    pub fn id(&self) -> String {
        self.text("id")
    }

    /// Its state.
    #[track_caller]
    pub fn state(&self) -> String {
        self.text("state")
    }

    #[track_caller]
    fn text(&self, key: &str) -> String {
        self.json[key].as_str().unwrap_or_else(|| panic!("no `{key}`: {:#}", self.json)).to_owned()
    }

    /// Every node, in order.
    #[track_caller]
    pub fn nodes(&self) -> &[Value] {
        self.json["ui"]["nodes"].as_array().unwrap_or_else(|| panic!("`ui.nodes` is no list: {:#}", self.json))
    }

    /// The names of the nodes, in order.
    #[track_caller]
    pub fn names(&self) -> Vec<&str> {
        self.nodes().iter().map(name).collect()
    }

    /// The nodes of a group, in order.
    #[track_caller]
    pub fn group(&self, group: &str) -> Vec<&Value> {
        self.nodes().iter().filter(|node| node["group"] == group).collect()
    }

    /// The first node with this name (or id, when it is no input), if there is one.
    #[track_caller]
    pub fn find(&self, wanted: &str) -> Option<&Value> {
        self.nodes().iter().find(|node| name(node) == wanted)
    }

    /// The first node with this name or id; there must be one.
    #[track_caller]
    pub fn node(&self, wanted: &str) -> &Value {
        self.find(wanted).unwrap_or_else(|| panic!("no node `{wanted}` among {:?}", self.names()))
    }

    /// The value of a node; null when it has none.
    #[track_caller]
    pub fn value(&self, wanted: &str) -> Value {
        self.node(wanted)["attributes"]["value"].clone()
    }

    /// The ids of the global messages.
    #[track_caller]
    pub fn messages(&self) -> Vec<u64> {
        ids(&self.json["ui"]["messages"])
    }

    /// The ids of the messages on a node; there must be such a node.
    #[track_caller]
    pub fn messages_at(&self, wanted: &str) -> Vec<u64> {
        ids(&self.node(wanted)["messages"])
    }

    /// Every message: the name of its node, empty for global ones, and its id.
    #[track_caller]
    pub fn all_messages(&self) -> Vec<(String, u64)> {
        let global = self.messages().into_iter().map(|id| (String::new(), id));
        let on_nodes =
            self.nodes().iter().flat_map(|node| ids(&node["messages"]).into_iter().map(|id| (name(node).to_owned(), id)));
        global.chain(on_nodes).collect()
    }

    /// The token that a form of this flow sends along: empty in API flows, absent when there is no such node.
    #[track_caller]
    pub fn csrf_token(&self) -> Option<String> {
        Some(self.find("csrf_token")?["attributes"]["value"].as_str().unwrap_or_default().to_owned())
    }

    /// Whether the last submit of a settings flow was saved.
    pub(crate) fn is_saved(&self) -> bool {
        self.kind == "settings" && self.json["state"] == "success" && self.messages().contains(&1_050_001)
    }
}

fn name(node: &Value) -> &str {
    let attributes = &node["attributes"];
    attributes["name"].as_str().or_else(|| attributes["id"].as_str()).unwrap_or_default()
}

fn ids(messages: &Value) -> Vec<u64> {
    messages.as_array().into_iter().flatten().filter_map(|message| message["id"].as_u64()).collect()
}

/// What a submit came to.
#[derive(Debug)]
pub struct Submitted {
    /// The answer to the submit itself.
    pub reply: Reply,
    /// What it means.
    pub said: Said,
}

/// What an answer means, whichever way the client was told.
#[derive(Debug)]
pub enum Said {
    /// The form is shown again: something in it was refused, or there is a next step.
    Form(Flow),
    /// It is done.
    Done(Done),
    /// The browser was sent somewhere else, for example to a login. JSON clients get a [`Said::Problem`] that names the place.
    Leave(String),
    /// An error: the body of a JSON answer, or the one that the error page shows. Its `code` equals the status.
    Problem {
        /// The status of a JSON answer; for browsers the `code` of the stored error.
        status: u16,
        /// What stands under `error`.
        error: Value,
    },
}

/// What a submit that went through brought.
#[derive(Debug)]
pub struct Done {
    /// The settings flow afterwards, also where a recovery led a browser to it; other flows end.
    pub flow: Option<Flow>,
    /// The body of a JSON answer; null for browsers.
    pub body: Value,
    /// Where the person is sent: `Location`, or what `continue_with` says. API clients are sent nowhere but to settings after a
    /// recovery.
    pub location: Option<String>,
}

impl Submitted {
    /// The form that is shown again.
    #[track_caller]
    pub fn form(self) -> Flow {
        match self.said {
            Said::Form(flow) => flow,
            other => panic!("the form was expected to be shown again, not {other:#?}\n{:?}", self.reply),
        }
    }

    /// What was done.
    #[track_caller]
    pub fn done(self) -> Done {
        match self.said {
            Said::Done(done) => done,
            other => panic!("this was expected to be done, not {other:#?}\n{:?}", self.reply),
        }
    }

    /// The settings flow after a submit that was saved.
    #[track_caller]
    pub fn saved(self) -> Flow {
        self.done().flow.expect("a settings flow")
    }

    /// The error object. Its `code` is asserted.
    #[track_caller]
    pub fn problem(self, code: u16) -> Value {
        match self.said {
            Said::Problem { status, error } if status == code => error,
            other => panic!("error {code} was expected, not {other:#?}\n{:?}", self.reply),
        }
    }

    /// Whether it is done.
    pub const fn is_done(&self) -> bool {
        matches!(self.said, Said::Done(_))
    }

    /// The login that the person has to pass first. Asserts how each client is told: browsers by 303, JSON clients by 403 with
    /// this error id (`session_refresh_required` or `session_aal2_required`) and `redirect_browser_to`.
    #[track_caller]
    pub fn login_first(self, error_id: &str) -> String {
        let login = match self.said {
            Said::Leave(location) => {
                assert_eq!(self.reply.status, 303, "{:?}", self.reply);
                location
            }
            Said::Problem { status: 403, error } if error["id"] == error_id => {
                let body = self.reply.json();
                body["redirect_browser_to"].as_str().unwrap_or_else(|| panic!("no redirect_browser_to: {body:#}")).to_owned()
            }
            other => panic!("a login was expected to be asked for, not {other:#?}\n{:?}", self.reply),
        };
        let wanted = if error_id == "session_refresh_required" { ("refresh", "true") } else { ("aal", "aal2") };
        assert!(login.contains("/self-service/login/browser?"), "{login} starts no login");
        assert_eq!(parameter(&login, wanted.0).as_deref(), Some(wanted.1), "{login}");
        login
    }
}
