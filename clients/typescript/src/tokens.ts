import type { Environment, MerchantToken, TokenList, TokenSearch } from './generated.js';
import type { RequestOptions, Transport } from './transport.js';

export interface SearchTokens {
  environment?: Environment | undefined;
  /** Part of a symbol, name or address, in any case. */
  search?: string | undefined;
  network?: string | undefined;
  token_type?: MerchantToken['token_type'] | undefined;
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
    return this.#transport.call('list_tokens', { query: { ...filter } }, options);
  }

  /** The tokens that fit, in parts of `limit` from `offset` on. */
  async search(filter: SearchTokens = {}, options?: RequestOptions): Promise<TokenSearch> {
    return this.#transport.call('search_tokens', { query: { ...filter } }, options);
  }

  /** Stops offering a token to your customers, or offers it again. */
  async block(tokenId: number, blocked = true, options?: RequestOptions): Promise<{ blocked: boolean }> {
    return this.#transport.call('block_token', { path: { token_id: tokenId }, body: { blocked } }, options);
  }
}
