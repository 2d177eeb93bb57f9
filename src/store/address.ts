import * as v from 'valibot';
import { formatGitAddress, type GitAddress, gitAddressSchema, isGitAddress } from './git/address.js';
import { formatServer, type ServerAddress, serverSchema } from './sftp/address.js';

/** The address of a store: on an SFTP server, or in a branch of a git repository. */
export type StoreAddress = ServerAddress | GitAddress;

/** A store's address, parsed to a StoreAddress. */
export const storeSchema: v.GenericSchema<string, StoreAddress> = v.lazy((text) =>
  typeof text === 'string' && isGitAddress(text) ? gitAddressSchema : serverSchema,
);

/** The address as a user writes it, for people. */
export function formatStore(address: StoreAddress): string {
  return isInGit(address) ? formatGitAddress(address) : formatServer(address);
}

export function isInGit(address: StoreAddress): address is GitAddress {
  return 'branch' in address;
}
