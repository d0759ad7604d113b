// The chain's time. It never goes back.

/** What a slot takes, in milliseconds, where no ticker says when it ends. */
const SLOT_MS = 400;

/** A clock that goes by the number of slots alone, so that the same requests give the same chain. */
export class CountingClock {
  #timeMs;

  constructor(startMs) {
    this.#timeMs = startMs;
  }

  /** The time of the next block, in epoch seconds. */
  next() {
    const now = this.#timeMs;
    this.#timeMs += SLOT_MS;
    return Math.floor(now / 1000);
  }

  /** Makes it later from the next block on. */
  set(timeMs) {
    this.#timeMs = timeMs;
  }
}

/** A clock that goes on by itself. */
export class RunningClock {
  #offsetMs;

  constructor(startMs) {
    this.set(startMs);
  }

  next() {
    return Math.floor((Date.now() + this.#offsetMs) / 1000);
  }

  set(timeMs) {
    this.#offsetMs = timeMs - Date.now();
  }
}
