//! The decision table of invoices, one sentence a row.
