import { CEPH_RELEASES } from '../ceph-releases.js';
import { type Grammar, readByGrammar, type Scheme } from '../scheme.js';

/**
 * quay.io/ceph/ceph: `v17.2.6`, and a day's build of it, `v17.2.6-20230410`. Among Ceph's versions x.0.z is
 * development, x.1.z is a release candidate, and only x.2.z is stable (docs.ceph.com, "Ceph Releases").
 */

const NUM = String.raw`(?:0|[1-9]\d*)`;
const DATE = String.raw`(?:-(?<build>20\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])))?`;

const grammar: Grammar = {
  stable: new RegExp(String.raw`^v(?<version>${NUM}\.2\.${NUM})${DATE}$`),
  notStable: [
    ['devel', new RegExp(String.raw`^v${NUM}\.0\.${NUM}${DATE}$`)],
    ['prerelease', new RegExp(String.raw`^v${NUM}\.1\.${NUM}${DATE}$`)],
    ['alias', new RegExp(String.raw`^(?:v${NUM}(?:\.${NUM})?|latest(?:-[a-z]+)*)$`)],
  ],
  lookalikes: [['does not parse', /^\D{0,2}(?<version>\d+(?:\.\d+){2,})(?!\.?\d)/]],
  flavors: CEPH_RELEASES,
};

export const ceph: Scheme = { name: 'ceph', prefix: 'v', read: (tag) => readByGrammar(grammar, tag) };
