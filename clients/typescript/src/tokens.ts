import type { Environment, TokenType } from './generated.js';
import type { QueryValue } from './query.js';
import { fillPath, type RequestOptions, type Transport } from './transport.js';

/** The rule by which you take tokens: all, also those to come; none; all but the blocked ones. */
export type AcceptancePolicy = 'accept_all' | 'accept_none' | 'selective';

/** A token of the server, as you have set it. */
export interface MerchantToken {
  id: number;
  token_symbol: string;
  token_name: string;
  /** Null for a network's own coin. */
  token_address: string | null;
  token_decimals: number;
  network: string;
  network_environment: Environment;
  token_type: TokenType;
  requires_memo: boolean;
  photo_uri: string | null;
  supports_subscriptions: boolean;
  /** Whether it is taken at one dollar. */
  supports_stable_settlement: boolean;
  /** Whether the server takes it at all. */
  is_active: boolean;
  /** Whether its network is being read. */
  is_monitored: boolean;
  /** Whether you do not take it. */
  is_blocked: boolean;
  /** Null while there is no price that can be trusted. */
  price: { usd: number; last_updated_at: number; provider_type: string } | null;
}

export interface TokenList {
  acceptance_policy: AcceptancePolicy;
  environment: Environment;
  tokens: MerchantToken[];
}

export interface TokenPage extends TokenList {
  /** How many there are on all pages. */
  total: number;
  limit: number;
  offset: number;
}

export interface SearchTokens {
  environment?: Environment | undefined;
  /** Part of a symbol, name or address, in any case. */
  search?: string | undefined;
  network?: string | undefined;
  token_type?: string | undefined;
  is_active?: boolean | undefined;
  supports_stable_settlement?: boolean | undefined;
  blocked?: boolean | undefined;
  /** How many tokens an answer has, 1 to 200; 50 by default. */
  limit?: number | undefined;
  /** How many tokens to skip. */
  offset?: number | undefined;
}

/** What your customers can pay with. */
export class Tokens {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** All tokens of an environment, by default that of your account. */
  async list(filter: { environment?: Environment | undefined } = {}, options?: RequestOptions): Promise<TokenList> {
    return this.#get('/api/v1/merchant/tokens', { ...filter }, options);
  }

  /** The tokens that fit, in parts of `limit` from `offset` on. */
  async search(filter: SearchTokens = {}, options?: RequestOptions): Promise<TokenPage> {
    return this.#get('/api/v1/merchant/tokens/search', { ...filter }, options);
  }

  /** Stops offering a token to your customers, or offers it again. */
  async block(tokenId: number, blocked = true, options?: RequestOptions): Promise<{ success: true; blocked: boolean }> {
    const path = fillPath('/api/v1/merchant/tokens/{token_id}/block', { token_id: tokenId });
    const call = { method: 'POST', path, json: JSON.stringify({ blocked }) };
    return this.#transport.sendWithKey(call, options);
  }

  async #get<T>(path: string, query: Record<string, QueryValue>, options?: RequestOptions): Promise<T> {
    return this.#transport.sendWithKey({ method: 'GET', path, query }, options);
  }
}
