import type { Environment, Operations, TokenBlocked, TokenList, TokenPage } from './generated.js';
import type { RequestOptions, Transport } from './transport.js';

/** Which tokens are looked for, and which part of them is wanted: 50 from the first on, by default. */
export type SearchTokens = Operations['search_tokens']['query'];

/** What your customers can pay with. */
export class Tokens {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** All tokens of an environment, by default that of your account. */
  async list(filter: { environment?: Environment | undefined } = {}, options?: RequestOptions): Promise<TokenList> {
    return this.#transport.call('list_tokens', { query: filter }, options);
  }

  /** The tokens that fit, in parts of `limit` from `offset` on. */
  async search(filter: SearchTokens = {}, options?: RequestOptions): Promise<TokenPage> {
    return this.#transport.call('search_tokens', { query: filter }, options);
  }

  /** Stops offering a token to your customers, or offers it again. */
  async block(tokenId: number, blocked = true, options?: RequestOptions): Promise<TokenBlocked> {
    return this.#transport.call('block_token', { path: { token_id: tokenId }, body: { blocked } }, options);
  }
}
