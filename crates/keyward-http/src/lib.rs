//! The wire: routes, negotiation, cookies, status codes and redirects of the public and the admin listener.
