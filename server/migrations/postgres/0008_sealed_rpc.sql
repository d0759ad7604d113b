-- URLs of added nodes are sealed, each time with another result: the same URL twice is found by opening them, and what is sealed
-- of a long one would not fit into an index of PostgreSQL.
DROP INDEX rpc_endpoints_by_url;
