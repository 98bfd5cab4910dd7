//! A real server on a real port for tests, with a manual clock, seeded randomness and either database.
