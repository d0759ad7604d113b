// Instructions that no package of ours writes, a few bytes each.

import { AccountRole, getAddressEncoder, getProgramDerivedAddress } from "@solana/kit";

import { TOKEN_2022 } from "./tokens.mjs";
import { SYSTEM_PROGRAM } from "./vm.mjs";

const COMPUTE_BUDGET = "ComputeBudget111111111111111111111111111111";
const LOOKUP_TABLES = "AddressLookupTab1e1111111111111111111111111";

const addressBytes = getAddressEncoder();
const u32 = (value) => littleEndian(4, (view) => view.setUint32(0, value, true));
const u64 = (value) => littleEndian(8, (view) => view.setBigUint64(0, BigInt(value), true));

/** Bounds what a transaction may compute. */
export function computeUnitLimit(units) {
  return { programAddress: COMPUTE_BUDGET, data: new Uint8Array([2, ...u32(units)]) };
}

/** Gives a Token-2022 mint a fee on transfers; comes before the mint is initialised. */
export function initializeTransferFee(mint, authority, basisPoints, maximumFee) {
  const someAuthority = [1, ...addressBytes.encode(authority)];
  return {
    programAddress: TOKEN_2022,
    accounts: [{ address: mint, role: AccountRole.WRITABLE }],
    data: new Uint8Array([
      26,
      0,
      ...someAuthority,
      ...someAuthority,
      basisPoints & 0xff,
      basisPoints >> 8,
      ...u64(maximumFee),
    ]),
  };
}

/** Creates a lookup table. Returns the instruction and the table's address, which depends on a recent slot. */
export async function createLookupTable(authority, payer, recentSlot) {
  const seeds = [addressBytes.encode(authority.address), u64(recentSlot)];
  const [table, bump] = await getProgramDerivedAddress({ programAddress: LOOKUP_TABLES, seeds });
  const accounts = tableAccounts(table, authority, payer);
  return {
    table,
    instruction: { programAddress: LOOKUP_TABLES, accounts, data: new Uint8Array([...u32(0), ...u64(recentSlot), bump]) },
  };
}

export function extendLookupTable(table, authority, payer, addresses) {
  const data = [...u32(2), ...u64(addresses.length), ...addresses.flatMap((address) => [...addressBytes.encode(address)])];
  return { programAddress: LOOKUP_TABLES, accounts: tableAccounts(table, authority, payer), data: new Uint8Array(data) };
}

function tableAccounts(table, authority, payer) {
  return [
    { address: table, role: AccountRole.WRITABLE },
    { address: authority.address, role: AccountRole.READONLY_SIGNER, signer: authority },
    { address: payer.address, role: AccountRole.WRITABLE_SIGNER, signer: payer },
    { address: SYSTEM_PROGRAM, role: AccountRole.READONLY },
  ];
}

function littleEndian(size, write) {
  const bytes = new Uint8Array(size);
  write(new DataView(bytes.buffer));
  return bytes;
}
