//! The built-in pages: HTML rendered from the same flow JSON that any other user interface receives.
