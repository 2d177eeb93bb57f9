import { afterEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ServiceError } from '../../src/base/errors.js';
import { readTag } from '../../src/candidate/scheme.js';
import { cephDaemon } from '../../src/candidate/schemes/ceph-daemon.js';
import { schemes } from '../../src/candidate/schemes.js';
import { listByDistribution } from '../../src/registry/distribution-listing.js';
import { createMemory } from '../../src/registry/memory.js';
import type { Access } from '../../src/registry/session.js';
import { CEPH_DAEMON, cephDaemonTags } from '../sandbox/ceph-daemon.js';
import { sandbox } from '../sandbox/current.js';
import { startFaultProxy } from '../sandbox/fault-proxy.js';
import { tagsAPage } from '../sandbox/tag-listings.js';
import { client, closeAll, hastyClock, repository } from './support.js';

const stops: (() => unknown)[] = [];
afterEach(async () => {
  await closeAll();
  for (const stop of stops.splice(0)) await stop();
});

describe('distribution v3 at 100 tags a page', () => {
  async function read(prefix?: string) {
    const front = await startFaultProxy({ upstream: sandbox().source.url, path: tagsAPage(100) });
    stops.push(front.stop);
    const options = { listing: 'auto', ...(prefix !== undefined && { prefix }) } as const;
    const { tags, narrowed } = await client()
      .repository(repository(`${front.host}/${CEPH_DAEMON}`))
      .listTags(options);
    const asked = front.requests.map(({ path }) => path.replace(`/v2/${CEPH_DAEMON}/tags/list`, ''));
    return { names: tags.map(({ name }) => name), narrowed, asked };
  }

  test('the first page is read, and what begins with the prefix', async () => {
    const { names, narrowed, asked } = await read('v');
    const sorted = [...cephDaemonTags].sort();
    expect(names).toEqual([...sorted.slice(0, 100), ...sorted.filter((name) => name.startsWith('v'))]);
    expect(narrowed).toBe(true);
    expect(asked.slice(0, 2)).toEqual(['', '?last=v&n=100']);
    expect(asked).toHaveLength(5);
  });

  test('all tags are read if no prefix is asked for', async () => {
    const { names, narrowed, asked } = await read();
    expect(names.sort()).toEqual([...cephDaemonTags].sort());
    expect(narrowed).toBe(false);
    expect(asked).toHaveLength(7);
  });

  test('all tags are read if nothing begins with it', async () => {
    const { names, narrowed } = await read('w');
    expect(names).toHaveLength(cephDaemonTags.length);
    expect(narrowed).toBe(false);
  });

  test('nothing that comes after the prefix is read', async () => {
    const { names, narrowed, asked } = await read('latest');
    expect(names).toEqual([...cephDaemonTags].sort().slice(0, 100));
    expect(narrowed).toBe(true);
    expect(asked).toEqual(['']);
  });
});

/** How a server goes on after a name that it does not list. */
type Unknown = 'by its order' | 'from the start' | 'with nothing' | 'with an error';

interface StandIn {
  /** In the order in which it lists. */
  readonly tags: readonly string[];
  readonly order?: (a: string, b: string) => number;
  readonly unknown?: Unknown;
  readonly perPage?: number;
  /** The query that the next page is asked for with. */
  readonly cursor?: (last: string, index: number) => string;
}

const byText = (a: string, b: string) => Number(a > b) - Number(a < b);

/** A registry that pages by any order, of which real ones have only the one. */
function standIn({ tags, order = byText, unknown = 'by its order', perPage = 100, cursor }: StandIn) {
  const asked: string[] = [];
  const startOf = (query: URLSearchParams): number | undefined => {
    const last = query.get('last');
    if (query.has('from')) return Number(query.get('from'));
    if (last === null) return 0;
    const index = tags.indexOf(last);
    if (index >= 0) return index + 1;
    if (unknown === 'by its order') return tags.filter((name) => order(name, last) <= 0).length;
    return { 'from the start': 0, 'with nothing': tags.length, 'with an error': undefined }[unknown];
  };
  const access: Access = {
    clock: hastyClock,
    memory: createMemory(),
    send: () => Promise.reject(new TypeError('not used')),
    challenge: async () => null,
    hasLogin: () => false,
    refusal: () => Promise.reject(new TypeError('not used')),
    originOf: async () => new URL('http://registry.test'),
    async fetch({ path }) {
      const url = new URL(path, 'http://registry.test/v2/ns/repo/');
      asked.push(url.search);
      const start = startOf(url.searchParams);
      if (start === undefined) throw new ServiceError('not-found', 'no such tag');
      const page = tags.slice(start, start + perPage);
      const last = page.at(-1) ?? '';
      const next = cursor?.(last, start + perPage) ?? `n=${perPage}&last=${encodeURIComponent(last)}`;
      const headers = start + perPage < tags.length ? { link: `<${url.pathname}?${next}>; rel="next"` } : {};
      return { status: 200, headers, bytes: Buffer.from(JSON.stringify({ tags: page })) };
    },
  };
  const read = () => listByDistribution(access, repository('registry.test/ns/repo'), undefined, 'v');
  return { asked, read };
}

const DEVEL = Array.from({ length: 300 }, (_, n) => `main-${(n + 4096).toString(16)}`);
const STABLE = Array.from({ length: 150 }, (_, n) => `v6.0.${n}-stable-6.0-pacific-centos-8`).sort();
const SORTED = [...DEVEL, ...STABLE];

describe('the whole listing is read if the order is not proven', () => {
  test('the order is, for comparison', async () => {
    const { asked, read } = standIn({ tags: SORTED });
    expect(await read()).toEqual({ names: [...DEVEL.slice(0, 100), ...STABLE], narrowed: true });
    expect(asked).toEqual(['', '?n=100&last=v', `?n=100&last=${STABLE[99]}`]);
  });

  test.each<[string, StandIn]>([
    ['a first page that does not ascend', { tags: [...DEVEL].reverse().concat(STABLE) }],
    ['pages of 99, too few to show it', { tags: SORTED, perPage: 99 }],
    ['begins anew after an unknown name', { tags: SORTED, unknown: 'from the start' }],
    ['ends after an unknown name', { tags: SORTED, unknown: 'with nothing' }],
    ['refuses an unknown name', { tags: SORTED, unknown: 'with an error' }],
    ['a page that does not ascend', { tags: [...DEVEL, ...[...STABLE].reverse()] }],
    ['a last page that goes back', { tags: [...SORTED, 'v5.0.0-stable-5.0-octopus-centos-8'] }],
  ])('%s', async (_, server) => {
    const { names, narrowed } = await standIn(server).read();
    expect(narrowed).toBe(false);
    expect([...names].sort()).toEqual([...server.tags].sort());
  });
});

test.each([
  ['no name', (_: string, index: number) => `from=${index}`],
  ['not the last name', (_: string, index: number) => `from=${index}&last=x`],
])('if the cursor is %s, only pages that the registry named are requested', async (_, cursor) => {
  const { read, asked } = standIn({ tags: SORTED, cursor });
  expect(await read()).toEqual({ names: SORTED, narrowed: false });
  expect(asked.filter((search) => search.includes('last=v'))).toEqual([]);
});

const ORDERS: readonly NonNullable<StandIn['order']>[] = [
  byText,
  (a, b) => byText(b, a),
  (a, b) => byText(a.toLowerCase(), b.toLowerCase()) || byText(a, b),
  (a, b) => a.length - b.length || byText(a, b),
  (a, b) => a.localeCompare(b, 'en') || byText(a, b),
  (a, b) => a.localeCompare(b, 'en', { numeric: true }) || byText(a, b),
  (a, b) => byText([...a].reverse().join(''), [...b].reverse().join('')),
];

test('property: no stable tag is missed, whatever order a registry has and however it treats the prefix', async () => {
  const name = fc.oneof(
    fc.nat(9999).map((n) => `main-${n}`),
    fc.nat(999).map((n) => `v6.0.${n}-stable-6.0-pacific-centos-stream8`),
    fc.constantFrom('latest', 'v', 'V6', 'v-', 'w1', 'zed', '_x'),
    fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,8}$/),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(name, { minLength: 1, maxLength: 600, size: 'max' }),
      fc.constantFrom(...ORDERS),
      fc.constantFrom<Unknown>('by its order', 'from the start', 'with nothing', 'with an error'),
      async (names, order, unknown) => {
        const tags = [...names].sort(order);
        const found = await standIn({ tags, order, unknown }).read();
        const stable = (all: readonly string[]) =>
          all.filter((one) => readTag(cephDaemon, one).kind === 'stable').sort();
        expect(stable(found.names)).toEqual(stable(tags));
      },
    ),
    { numRuns: 60, endOnFailure: true },
  );
});

test.each(schemes.flatMap((scheme) => (scheme.prefix === undefined ? [] : [[scheme.name, scheme] as const])))(
  'scheme %s: what is stable begins with its prefix, and contains its filter',
  (_, { prefix = '', filter = '', read }) => {
    const dated = Array.from({ length: 20 }, (_, n) => `v${n}.2.${n}`).flatMap((tag) => [tag, `${tag}-20230410`]);
    const stable = [...cephDaemonTags, ...dated].filter((tag) => read(tag).kind === 'stable');
    expect(stable.length).toBeGreaterThan(30);
    expect(stable.filter((tag) => !tag.startsWith(prefix) || !tag.includes(filter))).toEqual([]);
    for (const tag of stable) expect(read(tag.slice(1)).kind).not.toBe('stable');
  },
);
