import { type Grammar, readByGrammar, type Scheme } from '../scheme.js';

/**
 * quay.io/ceph/daemon, as ceph-container's build scripts name images:
 * `v6.0.7-stable-6.0-pacific-centos-stream8-x86_64`. The version is ceph-container's, not Ceph's.
 */

const NUM = String.raw`(?:0|[1-9]\d*)`;
const VERSION = String.raw`(?<version>(?<series>${NUM}\.${NUM})\.${NUM})`;
const PRERELEASE = String.raw`(?:alpha|beta|rc)\d{1,2}`;
const UNRELEASED = '(?:master|main)';
/** Flavors and distros are open sets: a new one must not need a change here. */
const WORD = '[a-z]+';
/** `7`, `stream8`, `16.04`. */
const BASE = String.raw`(?:stream)?${NUM}(?:\.\d+)?`;
const BUILD = `(?<distro>${WORD})-(?<base>${BASE})(?:-(?<arch>x86_64|aarch64))?`;

const grammar: Grammar = {
  stable: new RegExp(String.raw`^v${VERSION}-stable-\k<series>-(?!${UNRELEASED}-)(?<flavor>${WORD})-${BUILD}$`),
  notStable: [
    ['prerelease', new RegExp(String.raw`^v${VERSION}${PRERELEASE}-stable-\k<series>-${WORD}-${BUILD}$`)],
    ['unreleased', new RegExp(String.raw`^v${VERSION}-stable-\k<series>-${UNRELEASED}-${BUILD}$`)],
    ['devel', new RegExp(`^${UNRELEASED}-[0-9a-f]{7}-${WORD}-${BUILD}$`)],
    ['alias', new RegExp(`^latest(?:-bis)?(?:-(?!devel$)${WORD})?(?:-devel)?$`)],
    ['alias', new RegExp(String.raw`^tag-(?:build-master|stable-3\.0)-${WORD}-${BUILD}$`)],
  ],
  lookalikes: [
    [
      'its series is not that of its version',
      new RegExp(String.raw`^v${VERSION}-stable-${NUM}\.${NUM}-${WORD}-${BUILD}$`),
    ],
    ['does not parse', /^\D{0,16}(?<version>\d+(?:\.\d+)+)(?!\.?\d).*stable/is],
  ],
};

export const cephDaemon: Scheme = {
  name: 'ceph-daemon',
  filter: '-stable-',
  prefix: 'v',
  hasOwnVersion: true,
  read: (tag) => readByGrammar(grammar, tag),
};
