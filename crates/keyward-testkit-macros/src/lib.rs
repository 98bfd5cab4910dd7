//! The attributes `#[flow_test]` and `#[database_test]`: one test body becomes one named test for each database and client.
//! Integration tests use them through `keyward_testkit`, which re-exports both and runs what they expand to.
//! Only tokens are looked at: nothing here knows what a database or a client is beyond its name.

use proc_macro::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};

const CLIENTS: [(&str, &str); 3] = [("api", "Api"), ("browser", "Browser"), ("spa", "Spa")];
const DATABASES: [(&str, &str); 2] = [("sqlite", "Sqlite"), ("postgres", "Postgres")];

/// One test for each database and each client: `wrong_code::sqlite::api`, `wrong_code::postgres::spa` and so on.
///
/// Goes on an `async fn` with one parameter of type `Trial`. Arguments, all optional and separated by commas: names of
/// clients (`api`, `browser`, `spa`) or databases (`sqlite`, `postgres`) to run no others, and `config = <expression>`, a
/// `serde_json::Value` that is laid over the base configuration. The expression sees the names around the test.
#[proc_macro_attribute]
pub fn flow_test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(arguments, item, &CLIENTS)
}

/// One test for each database: `one_wins::sqlite`, `one_wins::postgres`. The trial's client is the API client, and tests
/// make the actors that they need.
///
/// Arguments as for [`macro@flow_test`], without clients.
#[proc_macro_attribute]
pub fn database_test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(arguments, item, &[])
}

struct Wishes {
    clients: Vec<String>,
    databases: Vec<String>,
    config: Option<TokenStream>,
}

fn expand(arguments: TokenStream, item: TokenStream, clients: &[(&str, &str)]) -> TokenStream {
    let parsed = wishes(arguments, clients).and_then(|wishes| Ok((wishes, name(&item)?)));
    let (wishes, name) = match parsed {
        Ok(parsed) => parsed,
        Err((span, sentence)) => return failure(span, &sentence).into_iter().chain(item).collect(),
    };

    let wanted = |list: &[String], name: &str| list.is_empty() || list.iter().any(|wish| wish == name);
    let mut tests = String::new();
    let mut left_out = false;
    for (database, variant) in DATABASES.iter().filter(|(database, _)| wanted(&wishes.databases, database)) {
        // A test that does not run must not be counted as passed, so in a run without PostgreSQL it does not exist.
        if *database == "postgres" && only_sqlite() {
            left_out = true;
            continue;
        }
        let run = |client: &str, depth: &str| {
            format!(
                "::keyward_testkit::run(::keyward_testkit::Case {{ name: ::core::module_path!(), \
                 client: ::keyward_testkit::ClientKind::{client}, database: ::keyward_testkit::DatabaseKind::{variant}, \
                 config: {depth}config() }}, {depth}super::{name});"
            )
        };
        if clients.is_empty() {
            tests += &format!("#[test] fn {database}() {{ {} }}", run("Api", ""));
            continue;
        }
        tests += &format!("mod {database} {{");
        for (client, kind) in clients.iter().filter(|(client, _)| wanted(&wishes.clients, client)) {
            tests += &format!("#[test] fn {client}() {{ {} }}", run(kind, "super::"));
        }
        tests += "}";
    }

    let mut inside = tokens(
        "#[allow(unused_imports, reason = \"a configuration may use the names around its test\")] use super::*;\
         #[allow(dead_code, reason = \"in a run without PostgreSQL a test may have no variant\")]\
         fn config() -> ::keyward_testkit::Value",
    );
    let config = wishes.config.unwrap_or_else(|| tokens("::keyward_testkit::Value::Null"));
    inside.extend([TokenTree::from(Group::new(Delimiter::Brace, config))]);
    // Makes the compiler look again when the variable changes.
    inside.extend(tokens("const _: Option<&str> = option_env!(\"KEYWARD_TEST_ONLY\");"));
    inside.extend(tokens(&tests));

    let mut expanded = TokenStream::new();
    if left_out {
        expanded.extend(tokens("#[allow(dead_code, reason = \"left out of a run without PostgreSQL\")]"));
    }
    expanded.extend(item);
    expanded.extend([
        TokenTree::from(Ident::new("mod", Span::call_site())),
        TokenTree::from(name),
        TokenTree::from(Group::new(Delimiter::Brace, inside)),
    ]);
    expanded
}

/// Whether this run knowingly has no PostgreSQL; `cargo xtask test --only sqlite` says so.
#[expect(clippy::disallowed_methods, reason = "which tests exist is decided when they are compiled, by whoever runs them")]
fn only_sqlite() -> bool {
    std::env::var("KEYWARD_TEST_ONLY").is_ok_and(|only| only == "sqlite")
}

fn tokens(text: &str) -> TokenStream {
    // Only this crate's own text comes here; a mistake in it fails every test at once.
    text.parse().unwrap_or_default()
}

fn failure(span: Span, sentence: &str) -> TokenStream {
    tokens(&format!("::core::compile_error!({sentence:?});"))
        .into_iter()
        .map(|mut token| {
            token.set_span(span);
            token
        })
        .collect()
}

fn wishes(arguments: TokenStream, clients: &[(&str, &str)]) -> Result<Wishes, (Span, String)> {
    let mut wishes = Wishes { clients: Vec::new(), databases: Vec::new(), config: None };
    let mut rest = arguments.into_iter().peekable();
    while let Some(token) = rest.next() {
        let word = token.to_string();
        if clients.iter().any(|(client, _)| *client == word) {
            wishes.clients.push(word);
        } else if DATABASES.iter().any(|(database, _)| *database == word) {
            wishes.databases.push(word);
        } else if word == "config" && rest.next_if(|next| next.to_string() == "=").is_some() {
            let mut expression = TokenStream::new();
            while let Some(next) = rest.next_if(|next| !is_comma(next)) {
                expression.extend([next]);
            }
            wishes.config = Some(expression);
        } else {
            return Err((token.span(), format!("`{word}` is neither a client, nor a database, nor `config = …`")));
        }
        if let Some(next) = rest.next()
            && !is_comma(&next)
        {
            return Err((next.span(), "expected a comma".to_owned()));
        }
    }
    Ok(wishes)
}

fn is_comma(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',')
}

/// The name of the function, which has to be asynchronous.
fn name(item: &TokenStream) -> Result<Ident, (Span, String)> {
    let mut asynchronous = false;
    let mut rest = item.clone().into_iter();
    while let Some(token) = rest.next() {
        match token.to_string().as_str() {
            "async" => asynchronous = true,
            "fn" => {
                return match rest.next() {
                    Some(TokenTree::Ident(name)) if asynchronous => Ok(name),
                    _ => Err((token.span(), "a test of this kind is an `async fn` that takes a `Trial`".to_owned())),
                };
            }
            _ => {}
        }
    }
    Err((Span::call_site(), "this attribute goes on an `async fn` that takes a `Trial`".to_owned()))
}
