-- What each account on Solana held when that was last explained by what was read of it, or when it was first looked at.
CREATE TABLE solana_balances (
    network TEXT NOT NULL,
    account TEXT NOT NULL,
    -- Whose it is: the wallet itself, if the account holds SOL.
    wallet TEXT NOT NULL,
    slot BIGINT NOT NULL,
    block_time BIGINT NOT NULL,
    held TEXT NOT NULL,
    -- Whether money may have come before it was first looked at, and not enough endpoints have said yet what did.
    is_late BIGINT NOT NULL,
    -- By how much more (or, below zero, less) it holds since then than anything explains; NULL if nothing.
    unexplained TEXT,
    -- The time of the block in which that was noticed.
    noticed_time BIGINT,
    PRIMARY KEY (network, account)
);
CREATE INDEX solana_balances_unexplained ON solana_balances (wallet, network) WHERE unexplained IS NOT NULL;
