//! Reads Kratos configuration files and environment overrides into typed settings.
