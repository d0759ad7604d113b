//! What crosses the network, and the rules both ends of it need.
