/** Ends slots as time goes by. */
export class Ticker {
  #everyMs;
  #tick;
  #timer;

  /** With 0 milliseconds it never does. */
  constructor(everyMs, tick) {
    this.#everyMs = everyMs;
    this.#tick = tick;
    this.setFrozen(false);
  }

  setFrozen(frozen) {
    this.stop();
    if (!frozen && this.#everyMs > 0) this.#timer = setInterval(this.#tick, this.#everyMs);
  }

  stop() {
    clearInterval(this.#timer);
  }
}
