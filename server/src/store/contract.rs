//! Every promise of the store, as a test that runs on each engine.
