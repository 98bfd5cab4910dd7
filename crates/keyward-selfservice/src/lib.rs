//! The self-service stories (registration, login, settings, logout) and the methods they are told with.
