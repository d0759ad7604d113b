// A node: the VM, its chain, and what answers calls.

import { base58Bytes } from "./base58.mjs";
import { Chain } from "./chain.mjs";
import { CountingClock, RunningClock } from "./clock.mjs";
import { controls } from "./controls.mjs";
import { RpcError, code } from "./errors.mjs";
import { Faucet } from "./faucet.mjs";
import { methods } from "./methods.mjs";
import { readParams } from "./params.mjs";
import { relayAddress, relayProgram } from "./relay.mjs";
import { Ticker } from "./ticker.mjs";
import { Vm } from "./vm.mjs";

export class Node {
  /** `tickMs` is how long a slot takes; with 0 slots end only when they are told to. `startMs` is an epoch time. */
  static async start({ genesis, startMs, finalizedAfter, tickMs }) {
    if (base58Bytes(genesis)?.length !== 32) throw new Error("the genesis hash has to be 32 bytes in base58");
    const vm = new Vm();
    vm.addProgram(await relayAddress(), relayProgram());
    const clock = tickMs === 0 ? new CountingClock(startMs) : new RunningClock(startMs);
    const chain = new Chain(vm, clock, { genesis, finalizedAfter });
    const faucet = await Faucet.create(vm, chain);
    return new Node({ vm, clock, chain, faucet, ticker: new Ticker(tickMs, () => chain.advance(1)) });
  }

  constructor(parts) {
    Object.assign(this, parts);
  }

  /** The answer to one JSON-RPC request, or undefined to a notification. */
  async answer(request) {
    const isObject = request !== null && typeof request === "object" && !Array.isArray(request);
    const { jsonrpc, id, method: name, params } = isObject ? request : {};
    const isId = id === undefined || id === null || typeof id === "string" || typeof id === "number";
    if (jsonrpc !== "2.0" || typeof name !== "string" || !isId) {
      return failure(null, code.INVALID_REQUEST, "Invalid request");
    }

    const answer = await this.#call(name, params)
      .then((result) => ({ jsonrpc: "2.0", result, id }))
      .catch((error) => {
        if (error instanceof RpcError) return failure(id, error.code, error.message, error.data);
        console.error(`${name} failed:`, error);
        return failure(id, code.INTERNAL, "Internal error");
      });
    return id === undefined ? undefined : answer;
  }

  stop() {
    this.ticker.stop();
  }

  async #call(name, params) {
    const method = [methods, controls].find((known) => Object.hasOwn(known, name))?.[name];
    if (method === undefined) throw new RpcError(code.METHOD_NOT_FOUND, "Method not found");
    return method.answer(this, ...readParams(method.readers, params ?? undefined));
  }
}

export function failure(id, code, message, data) {
  return { jsonrpc: "2.0", error: { code, message, data }, id: id ?? null };
}
