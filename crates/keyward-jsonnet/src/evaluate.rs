//! One evaluation, from text to JSON, each with an interpreter of its own.
//! The worker calls it; it may not return, and may end the process when memory runs out.
//! Imports find nothing, and there are no native functions.

use rsjsonnet_lang::arena::Arena;
use rsjsonnet_lang::interner::InternedStr;
use rsjsonnet_lang::lexer::LexError;
use rsjsonnet_lang::parser::ParseError;
use rsjsonnet_lang::program::{
    AnalyzeError, Callbacks, EvalError, EvalErrorKind, EvalStackTraceItem, ImportError, LoadError, NativeError, Program, Thunk,
    Value,
};
use rsjsonnet_lang::span::{SpanContext, SpanId};

use crate::Job;
use crate::frame::Verdict;
use crate::pool::LONGEST_OUTPUT;

/// The most characters of a message.
const LONGEST_MESSAGE: usize = 500;

pub(crate) fn evaluate(job: &Job) -> Verdict {
    let arena = Arena::new();
    let mut program = Program::new(&arena);
    match value(&mut program, job) {
        Ok(json) if json.len() > LONGEST_OUTPUT => Verdict::TooLong,
        Ok(json) => Verdict::Value(json),
        Err(verdict) => verdict,
    }
}

fn value(program: &mut Program<'_>, job: &Job) -> Result<String, Verdict> {
    for (position, (name, json)) in job.variables.iter().enumerate() {
        if job.variables[..position].iter().any(|(earlier, _)| earlier == name) {
            return Err(Verdict::Invalid(format!("the variable {name} is given twice")));
        }
        let thunk = data(program, name, json)?;
        let name = program.intern_str(name);
        program.add_ext_var(name, &thunk);
    }
    let mut arguments = Vec::with_capacity(job.arguments.len());
    for (name, json) in &job.arguments {
        let thunk = data(program, name, json)?;
        arguments.push((program.intern_str(name), thunk));
    }
    let snippet = load(program, &job.snippet, true).map_err(|error| at(program, &job.snippet, &error))?;
    let failed = |program: &Program<'_>, error: EvalError| explain(program, &job.snippet, &error);
    let mut value = program.eval_value(&snippet, &mut Nothing).map_err(|error| failed(program, error))?;
    if value.is_function() {
        value = program.eval_call(&snippet, &[], &arguments, &mut Nothing).map_err(|error| failed(program, error))?;
    }
    program.manifest_json(&value, false).map_err(|error| failed(program, error))
}

/// JSON is Jsonnet.
fn data<'p>(program: &mut Program<'p>, name: &str, json: &str) -> Result<Thunk<'p>, Verdict> {
    load(program, json, false).map_err(|_| Verdict::Invalid(format!("the variable {name} is not JSON")))
}

fn load<'p>(program: &mut Program<'p>, text: &str, with_library: bool) -> Result<Thunk<'p>, LoadError> {
    let (context, _) = program.span_manager_mut().insert_source_context(text.len());
    program.load_source(context, text.as_bytes(), with_library, "snippet")
}

/// Snippets reach nothing outside of themselves.
struct Nothing;

impl<'p> Callbacks<'p> for Nothing {
    fn import(&mut self, _: &mut Program<'p>, _: SpanId, _: &str) -> Result<Thunk<'p>, ImportError> {
        Err(ImportError)
    }

    fn import_str(&mut self, _: &mut Program<'p>, _: SpanId, _: &str) -> Result<String, ImportError> {
        Err(ImportError)
    }

    fn import_bin(&mut self, _: &mut Program<'p>, _: SpanId, _: &str) -> Result<Vec<u8>, ImportError> {
        Err(ImportError)
    }

    fn trace(&mut self, _: &mut Program<'p>, _: &str, _: &[EvalStackTraceItem]) {}

    fn native_call(&mut self, _: &mut Program<'p>, _: InternedStr<'p>, _: &[Value<'p>]) -> Result<Value<'p>, NativeError> {
        Err(NativeError)
    }
}

fn explain(program: &Program<'_>, snippet: &str, error: &EvalError) -> Verdict {
    if let EvalErrorKind::ExplicitError { message, .. } = &error.kind {
        return Verdict::Raised(short(message));
    }
    let words = match &error.kind {
        EvalErrorKind::StackOverflow => "calls are nested too deeply".to_owned(),
        EvalErrorKind::UnknownExtVar { name } => format!("there is no external variable {name}"),
        EvalErrorKind::UnknownObjectField { field_name, .. } => format!("there is no field {field_name}"),
        EvalErrorKind::ImportFailed { .. } => "imports are not available here".to_owned(),
        EvalErrorKind::CallParamNotBound { param_name, .. } => format!("the argument {param_name} is missing"),
        EvalErrorKind::AssertFailed { message: Some(message), .. } => format!("an assertion failed: {message}"),
        EvalErrorKind::ManifestFunction => "the value is or holds a function".to_owned(),
        other => words(&format!("{other:?}")),
    };
    let own = match &error.kind {
        EvalErrorKind::UnknownObjectField { span, .. }
        | EvalErrorKind::ImportFailed { span, .. }
        | EvalErrorKind::AssertFailed { span, .. } => line(program, snippet, *span),
        _ => None,
    };
    let place = own.or_else(|| error.stack_trace.iter().rev().find_map(|item| place(program, snippet, item)));
    Verdict::Invalid(short(&place.map_or_else(|| words.clone(), |line| format!("line {line}: {words}"))))
}

fn place(program: &Program<'_>, snippet: &str, item: &EvalStackTraceItem) -> Option<usize> {
    match item {
        EvalStackTraceItem::Expr { span } | EvalStackTraceItem::Variable { span, .. } => line(program, snippet, *span),
        EvalStackTraceItem::Call { span, .. } => line(program, snippet, (*span)?),
        _ => None,
    }
}

fn at(program: &Program<'_>, snippet: &str, error: &LoadError) -> Verdict {
    let (span, words) = match error {
        LoadError::Lex(error) => (lex_span(error), words(&format!("{error:?}"))),
        LoadError::Parse(ParseError::Expected { span, instead, .. }) => {
            (*span, format!("unexpected {}", words(&format!("{instead:?}"))))
        }
        LoadError::Analyze(error) => match error {
            AnalyzeError::UnknownVariable { span, name } => (*span, format!("there is no variable {name}")),
            error => (analyze_span(error), words(&format!("{error:?}"))),
        },
    };
    let place = line(program, snippet, span).map(|line| format!("line {line}: ")).unwrap_or_default();
    Verdict::Invalid(short(&format!("{place}{words}")))
}

const fn lex_span(error: &LexError) -> SpanId {
    match error {
        LexError::InvalidChar { span, .. }
        | LexError::InvalidUtf8 { span, .. }
        | LexError::UnfinishedMultilineComment { span }
        | LexError::LeadingZeroInNumber { span }
        | LexError::MissingFracDigits { span }
        | LexError::MissingExpDigits { span }
        | LexError::MissingDigitAfterUnderscore { span }
        | LexError::ExpOverflow { span }
        | LexError::InvalidEscapeInString { span, .. }
        | LexError::IncompleteUnicodeEscape { span }
        | LexError::InvalidUtf16EscapeSequence { span, .. }
        | LexError::UnfinishedString { span }
        | LexError::MissingLineBreakAfterTextBlockStart { span }
        | LexError::MissingWhitespaceTextBlockStart { span }
        | LexError::InvalidTextBlockTermination { span } => *span,
    }
}

const fn analyze_span(error: &AnalyzeError) -> SpanId {
    match error {
        AnalyzeError::UnknownVariable { span, .. }
        | AnalyzeError::SelfOutsideObject { self_span: span }
        | AnalyzeError::SuperOutsideObject { super_span: span }
        | AnalyzeError::DollarOutsideObject { dollar_span: span }
        | AnalyzeError::RepeatedLocalName { repeated_span: span, .. }
        | AnalyzeError::RepeatedFieldName { repeated_span: span, .. }
        | AnalyzeError::RepeatedParamName { repeated_span: span, .. }
        | AnalyzeError::PositionalArgAfterNamed { arg_span: span }
        | AnalyzeError::TextBlockAsImportPath { span }
        | AnalyzeError::ComputedImportPath { span } => *span,
    }
}

/// The line of the snippet, counted from one; `None` when the place is in the library.
fn line(program: &Program<'_>, snippet: &str, span: SpanId) -> Option<usize> {
    let (context, start, _) = program.span_manager().get_span(span);
    let SpanContext::Source(source) = program.span_manager().get_context(context);
    if *source == program.get_stdlib_source().0 {
        return None;
    }
    Some(snippet.as_bytes().get(..start)?.iter().filter(|byte| **byte == b'\n').count() + 1)
}

/// `UnfinishedString { … }` as words.
fn words(debug: &str) -> String {
    let name = debug.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

fn short(message: &str) -> String {
    message.chars().take(LONGEST_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(snippet: &str) -> Verdict {
        let pair = |name: &str, json: &str| (name.to_owned(), json.to_owned());
        evaluate(&Job {
            snippet: snippet.to_owned(),
            variables: vec![pair("claims", r#"{"exp":1767225660,"a":"\u00e4/\"x"}"#), pair("null", "null")],
            arguments: vec![pair("ctx", r#"{"flow":{"id":"f"}}"#)],
        })
    }

    #[test]
    fn values_and_mistakes() {
        let value = |json: &str| Verdict::Value(json.to_owned());
        let invalid = |words: &str| Verdict::Invalid(words.to_owned());
        for (snippet, expected) in [
            ("{ claims: { x: std.extVar('claims').exp } }", value(r#"{"claims": {"x": 1767225660}}"#)),
            ("std.extVar('claims').a", value(r#""ä/\"x""#)),
            ("[std.extVar('null'), 1.5, 1 + 1, true, 'a' + 'b']", value(r#"[null, 1.5, 2, true, "ab"]"#)),
            ("function(ctx) { id: ctx.flow.id }", value(r#"{"id": "f"}"#)),
            ("{ a: 1, b:: 2, [if false then 'c']: 3 }", value(r#"{"a": 1}"#)),
            ("std.objectHas({ a: 1 }, 'a') && std.length('abc') == 3 && std.startsWith('ab', 'a')", value("true")),
            ("error 'cancel'", Verdict::Raised("cancel".to_owned())),
            ("{ claims: error 'later' }", Verdict::Raised("later".to_owned())),
            ("{\n  claims: {", invalid("line 2: unexpected end of file")),
            ("{\n  a: 'x\n}", invalid("line 2: unfinished string")),
            ("1 +\nfoo", invalid("line 2: there is no variable foo")),
            ("\n{ a: {}.b }", invalid("line 2: there is no field b")),
            ("std.extVar('nobody')", invalid("there is no external variable nobody")),
            ("function(other) 1", invalid("unknown call param")),
            ("function(x=1) x", invalid("unknown call param")),
            ("{ f: function(x) x }", invalid("the value is or holds a function")),
            ("local f(x) = f(x + 1) + 1; f(1)", invalid("calls are nested too deeply")),
            ("import 'x.libsonnet'", invalid("line 1: imports are not available here")),
            ("importstr '/etc/passwd'", invalid("line 1: imports are not available here")),
            ("std.repeat('x', 300000)", Verdict::TooLong),
            ("assert false : 'no'; 1", invalid("line 1: an assertion failed: no")),
        ] {
            let found = verdict(snippet);
            match (&found, &expected) {
                // Where exactly the library puts the mistake is its business.
                (Verdict::Invalid(found), Verdict::Invalid(expected)) => {
                    assert!(found.ends_with(expected.as_str()), "{snippet}: {found}");
                }
                _ => assert_eq!(found, expected, "{snippet}"),
            }
        }
    }

    #[test]
    fn nothing_stays_for_the_next_job() {
        let job = |name: &str| Job {
            snippet: "std.extVar('x')".to_owned(),
            variables: vec![(name.to_owned(), "1".to_owned())],
            arguments: Vec::new(),
        };
        assert_eq!(evaluate(&job("x")), Verdict::Value("1".to_owned()));
        assert!(matches!(evaluate(&job("y")), Verdict::Invalid(_)));
    }

    #[test]
    fn deep_nesting_is_a_mistake_and_no_crash() {
        for snippet in ["[".repeat(100_000), format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000))] {
            assert!(!matches!(verdict(&snippet), Verdict::Raised(_)));
        }
    }
}
