/** Where a page starts: after an item, towards the older, or before one, towards the newer. */
export interface Cursor {
  starting_after?: string | undefined;
  ending_before?: string | undefined;
}

type Fetch<T> = (cursor: Cursor) => Promise<{ data: T[]; has_more: boolean }>;

/** A part of a list, newest first. Iterating over it goes on through all further pages. */
export class Page<T extends { id: string }> implements AsyncIterable<T> {
  readonly data: readonly T[];
  /** Whether there is more in the direction that was asked for. */
  readonly has_more: boolean;
  readonly #next: (() => Promise<Page<T>>) | undefined;
  readonly #isTowardsNewer: boolean;

  /** @internal */
  constructor(answer: { data: T[]; has_more: boolean }, cursor: Cursor, fetch: Fetch<T>) {
    this.data = answer.data;
    this.has_more = answer.has_more;
    this.#isTowardsNewer = cursor.ending_before !== undefined;
    const last = this.#isTowardsNewer ? answer.data[0] : answer.data.at(-1);
    if (answer.has_more && last !== undefined) {
      const following = this.#isTowardsNewer ? { ending_before: last.id } : { starting_after: last.id };
      this.#next = async () => new Page(await fetch(following), following, fetch);
    }
  }

  /** The next page in the direction that was asked for, if there is one. */
  async nextPage(): Promise<Page<T> | undefined> {
    return this.#next?.();
  }

  /**
   * Every item from here on, page after page: newest first, or, where the list was asked for with
   * `ending_before`, oldest first, which is the order to catch up in.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (let page: Page<T> | undefined = this; page !== undefined; page = await page.nextPage()) {
      yield* this.#isTowardsNewer ? [...page.data].reverse() : page.data;
    }
  }
}

/**
 * A list that was asked for: await it for its first page, or iterate over it for everything.
 *
 * Nothing is sent before one of the two is done.
 */
export class PagePromise<T extends { id: string }> implements PromiseLike<Page<T>>, AsyncIterable<T> {
  readonly #start: () => Promise<Page<T>>;
  #page: Promise<Page<T>> | undefined;

  /** @internal */
  constructor(cursor: Cursor, fetch: Fetch<T>) {
    this.#start = async () => new Page(await fetch(cursor), cursor, fetch);
  }

  then<A = Page<T>, B = never>(
    onfulfilled?: ((page: Page<T>) => A | PromiseLike<A>) | null,
    onrejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#page ??= this.#start();
    return this.#page.then(onfulfilled, onrejected);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    yield* await this;
  }
}
