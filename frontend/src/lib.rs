//! The payer's page: drawn by the server, taken over by the browser.
