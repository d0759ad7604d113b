// Money and what it needs, made by real transactions of a key that has plenty.

import {
  appendTransactionMessageInstructions,
  createTransactionMessage,
  getTransactionEncoder,
  pipe,
  setTransactionMessageFeePayerSigner,
  setTransactionMessageLifetimeUsingBlockhash,
  signTransactionMessageWithSigners,
} from "@solana/kit";
import { getCreateAccountInstruction, getTransferSolInstruction } from "@solana-program/system";
import {
  findAssociatedTokenPda,
  getCreateAssociatedTokenIdempotentInstruction,
  getFreezeAccountInstruction,
  getInitializeMint2Instruction,
  getMintToCheckedInstruction,
  getThawAccountInstruction,
} from "@solana-program/token";

import { invalidParams, sentence } from "./errors.mjs";
import { computeUnitLimit, createLookupTable, extendLookupTable, initializeTransferFee } from "./instructions.mjs";
import { testSigner } from "./keys.mjs";
import { TOKEN_2022, readMint } from "./tokens.mjs";
import { readTransaction } from "./transaction.mjs";
import { SYSTEM_PROGRAM } from "./vm.mjs";

const LAMPORTS = 500_000_000n * 1_000_000_000n;

const MINT_SIZE = 82;
/** A mint with the transfer fee extension: padded to a token account's size, its type, and the extension. */
const FEE_MINT_SIZE = 165 + 1 + 4 + 108;

/** So many addresses fit into one transaction. */
export const MOST_TABLE_ADDRESSES = 20;

const wire = getTransactionEncoder();

export class Faucet {
  #vm;
  #chain;
  #signer;
  #sent = 0;
  #mints = 0;

  static async create(vm, chain) {
    return new Faucet(vm, chain, await testSigner("faucet"));
  }

  constructor(vm, chain, signer) {
    this.#vm = vm;
    this.#chain = chain;
    this.#signer = signer;
    vm.setAccount(chain.firstSlot, signer.address, { lamports: LAMPORTS, programAddress: SYSTEM_PROGRAM });
  }

  async airdrop(address, amount) {
    return this.#send(getTransferSolInstruction({ source: this.#signer, destination: address, amount }));
  }

  /**
   * Creates a mint that this key may mint and freeze. With an address of the caller's choice the account is written there
   * afterwards, since nobody could sign for it.
   */
  async createMint({ decimals, program, fee, address }) {
    const mint = await testSigner(`mint ${++this.#mints}`);
    if (fee !== undefined && program !== TOKEN_2022) throw invalidParams("only mints of Token-2022 have a transfer fee");
    const space = fee === undefined ? MINT_SIZE : FEE_MINT_SIZE;
    const authority = this.#signer.address;
    const config = { programAddress: program };
    const signature = await this.#send(
      getCreateAccountInstruction({
        payer: this.#signer,
        newAccount: mint,
        lamports: this.#vm.minimumBalance(space),
        space,
        programAddress: program,
      }),
      ...(fee === undefined ? [] : [initializeTransferFee(mint.address, authority, fee.basis_points, fee.maximum)]),
      getInitializeMint2Instruction(
        { mint: mint.address, decimals, mintAuthority: authority, freezeAuthority: authority },
        config,
      ),
    );
    if (address === undefined) return { mint: mint.address, signature };
    if (this.#vm.account(address) !== undefined) throw invalidParams("there is an account at this address already");
    this.#vm.setAccount(this.#chain.head, address, this.#vm.account(mint.address));
    return { mint: address, signature };
  }

  /** Creates the token account that wallets send to, unless it is there. */
  async createTokenAccount(mint, owner) {
    const { program } = this.#mint(mint);
    const account = await this.#tokenAccount(mint, owner, program);
    return { account, signature: await this.#send(this.#creation(mint, owner, account, program)) };
  }

  /** Mints to the token account that wallets send to, which is created if it is not there. */
  async mintTo(mint, owner, amount) {
    const { program, decimals } = this.#mint(mint);
    const account = await this.#tokenAccount(mint, owner, program);
    const signature = await this.#send(
      this.#creation(mint, owner, account, program),
      getMintToCheckedInstruction(
        { mint, token: account, mintAuthority: this.#signer, amount, decimals },
        { programAddress: program },
      ),
    );
    return { account, signature };
  }

  /** Freezes or thaws a token account, as the issuers of dollar tokens can. */
  async setFrozen(mint, owner, frozen) {
    const { program } = this.#mint(mint);
    const account = await this.#tokenAccount(mint, owner, program);
    const instruction = frozen ? getFreezeAccountInstruction : getThawAccountInstruction;
    const signature = await this.#send(instruction({ account, mint, owner: this.#signer }, { programAddress: program }));
    return { account, signature };
  }

  /** Creates a lookup table; the network lets it be used from the next slot on. */
  async createLookupTable(addresses) {
    const recentSlot = this.#chain.blockAt("confirmed").slot;
    const { table, instruction } = await createLookupTable(this.#signer, this.#signer, recentSlot);
    if (this.#vm.account(table) !== undefined) throw invalidParams("a slot has to pass between two lookup tables");
    const signature = await this.#send(instruction, extendLookupTable(table, this.#signer, this.#signer, addresses));
    return { table, signature };
  }

  #mint(address) {
    const account = this.#vm.account(address);
    const mint = readMint(account);
    if (mint === undefined) throw invalidParams("Invalid param: could not find mint");
    return { ...mint, program: account.programAddress };
  }

  async #tokenAccount(mint, owner, tokenProgram) {
    return (await findAssociatedTokenPda({ mint, owner, tokenProgram }))[0];
  }

  #creation(mint, owner, ata, tokenProgram) {
    return getCreateAssociatedTokenIdempotentInstruction({ payer: this.#signer, mint, owner, ata, tokenProgram });
  }

  async #send(...instructions) {
    // A different limit each time makes equal transactions different, without a memo that would be listed.
    const unique = computeUnitLimit(400_000 + (++this.#sent % 1_000_000));
    const { hash: blockhash } = this.#chain.blockAt("processed");
    const message = pipe(
      createTransactionMessage({ version: "legacy" }),
      (message) => setTransactionMessageFeePayerSigner(this.#signer, message),
      (message) => setTransactionMessageLifetimeUsingBlockhash({ blockhash, lastValidBlockHeight: 0n }, message),
      (message) => appendTransactionMessageInstructions([unique, ...instructions], message),
    );
    const signed = await signTransactionMessageWithSigners(message);
    const transaction = readTransaction(new Uint8Array(wire.encode(signed)));
    const { err } = this.#chain.execute(transaction);
    if (err !== null) throw invalidParams(`the network refused it: ${sentence(err)}`);
    return transaction.signatures[0];
  }
}
