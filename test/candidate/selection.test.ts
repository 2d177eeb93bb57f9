import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import type { KnownImage } from '../../src/candidate/known-images.js';
import type { Policy } from '../../src/candidate/policy.js';
import { compareVersions, formatVersion, seriesOf } from '../../src/candidate/scheme.js';
import { ceph } from '../../src/candidate/schemes/ceph.js';
import { semver } from '../../src/candidate/schemes/semver.js';
import { type Chosen, type Selection, selectCandidate } from '../../src/candidate/selection.js';
import { projectRoot } from '../sandbox/project.js';
import { answer, choose, DAY, imageOf, listed, NOW, policy, tag } from './policies.js';

/** ceph/daemon as quay.io listed it on 2022-05-06. */
const real = readFileSync(`${projectRoot}/test/data/ceph-daemon-tags-2022-05-06.txt`, 'utf8').trim().split('\n');

function chosen(selection: Selection): Chosen {
  if (selection.kind !== 'chosen') throw new Error(`chosen nothing: ${answer(selection)}`);
  return selection;
}

type Row = readonly [what: string, tags: readonly string[], asked: Partial<Policy>, expected: string];

/** A row's tags and its answer, both abbreviated; an answer without a blank is taken literally. */
function rows(table: readonly Row[]) {
  return table.map(([what, tags, asked, expected]) => {
    const full = (name: string) => (name.includes(' ') && !name.startsWith('read ') ? tag(name) : name);
    return [what, tags.map(full), asked, full(expected)] as const;
  });
}

const X86 = { flavor: 'pacific', arch: 'x86_64' } as const;
const ARM = { flavor: 'pacific', arch: 'aarch64' } as const;

describe('flavor', () => {
  test.each(
    rows([
      ['exact', ['6.0.7 pacific centos-8', '7.0.1 quincy centos-8'], { flavor: 'quincy' }, '7.0.1 quincy centos-8'],
      ['no substring', ['6.0.7 pacific centos-8'], { flavor: 'pacifi' }, 'flavor'],
      ['never unreleased', ['3.2.3 master centos-7', '3.2.2 mimic centos-7'], { flavor: 'master' }, 'flavor'],
      ['only unreleased', ['3.2.3 master centos-7', '9.0.0 main centos-8'], {}, 'nothing-stable'],
      [
        'missing in the newest series',
        ['6.0.7 pacific centos-8', '7.0.0 quincy centos-8'],
        X86,
        '6.0.7 pacific centos-8',
      ],
      [
        'its newest home of several',
        ['3.0.7 luminous centos-7', '3.1.0 luminous centos-7', '3.2.9 luminous centos-7', '3.2.10 luminous centos-7'],
        { flavor: 'luminous' },
        '3.2.10 luminous centos-7',
      ],
      [
        'no home: the highest of its series',
        ['4.0.0 luminous centos-7', '4.0.1 nautilus centos-7', '3.2.2 mimic centos-7', '3.2.1 luminous centos-7'],
        { flavor: 'luminous' },
        '4.0.0 luminous centos-7',
      ],
      [
        'its home by any distro and arch',
        [
          '4.0.0 luminous centos-7',
          '4.0.1 nautilus centos-7',
          '3.2.2 luminous debian-9-aarch64',
          '3.2.1 luminous centos-7',
        ],
        { flavor: 'luminous', arch: 'x86_64' },
        '3.2.1 luminous centos-7',
      ],
      [
        'a home without what is asked for gives way',
        ['4.0.0 luminous centos-7-aarch64', '4.0.1 nautilus centos-7', '3.2.1 luminous centos-7'],
        { flavor: 'luminous', arch: 'aarch64' },
        '4.0.0 luminous centos-7-aarch64',
      ],
      [
        'a prerelease is no patch of its series',
        ['4.0.0 luminous centos-7', '4.0.1rc1 nautilus centos-7', '3.2.1 luminous centos-7'],
        { flavor: 'luminous' },
        '4.0.0 luminous centos-7',
      ],
      [
        'absent: the highest, and of one version the newest release of Ceph',
        ['4.0.0 luminous centos-7', '4.0.0 nautilus centos-7', '4.0.0 mimic centos-7', '3.2.9 mimic centos-7'],
        {},
        '4.0.0 nautilus centos-7',
      ],
    ]),
  )('%s', (_what, tags, asked, expected) => expect(choose(tags, asked)).toBe(expected));

  test('an excluded or too young patch still determines the series', () => {
    const young = tag('4.0.1 nautilus centos-7');
    const tags = [tag('4.0.0 luminous centos-7'), young, tag('3.2.9 luminous centos-7')];
    expect(choose(tags, { flavor: 'luminous', exclude: [young] })).toBe(tag('3.2.9 luminous centos-7'));
    const listing = tags.map((name) => ({ name, startedAt: NOW - (name === young ? 1 : 30) * DAY }));
    const selection = selectCandidate(listing, policy({ flavor: 'luminous', minimumAge: 7 * DAY }));
    expect(answer(selection)).toBe(tag('3.2.9 luminous centos-7'));
  });

  test.each([
    ['jewel', 'v3.1.0-stable-3.1-jewel-centos-7-x86_64'],
    ['kraken', 'v3.1.0-stable-3.1-kraken-centos-7-x86_64'],
    ['octopus', 'v5.0.14-stable-5.0-octopus-centos-8-x86_64'],
    ['pacific', 'v6.0.7-stable-6.0-pacific-centos-stream8-x86_64'],
  ])('%s in the real listing', (flavor, expected) => expect(choose(real, { flavor, arch: 'x86_64' })).toBe(expected));
});

describe('distro', () => {
  const trusty = '3.1.0 jewel ubuntu-14.04-x86_64';
  const xenial = '3.1.0 jewel ubuntu-16.04-x86_64';
  const centos = '3.1.0 jewel centos-7-x86_64';
  const bases = ['centos-7', 'centos-8', 'centos-stream8', 'centos-stream9', 'centos-stream10'];
  test.each(
    rows([
      ['absent: centos', [trusty, centos, xenial], {}, centos],
      ['absent: centos, though another is newer', [centos, '3.1.1 jewel ubuntu-16.04'], {}, centos],
      ['absent, and no centos', [trusty, xenial], {}, 'distro'],
      ['a family by name', [centos, trusty, xenial], { distro: 'ubuntu' }, xenial],
      ['exactly', [centos, trusty, xenial], { distro: 'ubuntu-14.04' }, trusty],
      ['no prefix', ['3.1.0 jewel ubuntu-16.04'], { distro: 'ubuntu-16' }, 'distro'],
      [
        'an unknown one by name',
        ['6.0.9 pacific rockylinux-9'],
        { distro: 'rockylinux' },
        '6.0.9 pacific rockylinux-9',
      ],
      [
        '8 is not stream8',
        ['6.0.7 pacific centos-stream8', '6.0.6 pacific centos-8'],
        { distro: 'centos-8' },
        '6.0.6 pacific centos-8',
      ],
      ['stream8 is not 8', ['6.0.7 pacific centos-8'], { distro: 'centos-stream8' }, 'distro'],
      [
        'the version comes before the base',
        ['6.0.8 pacific centos-7', '6.0.7 pacific centos-stream9'],
        {},
        '6.0.8 pacific centos-7',
      ],
      ...bases.map((base, index): Row => {
        const older = bases.slice(0, index + 1).map((other) => `6.0.7 pacific ${other}`);
        return [`${base} is the newest of ${index + 1}`, older, {}, `6.0.7 pacific ${base}`];
      }),
    ]),
  )('%s', (_what, tags, asked, expected) => expect(choose(tags, asked)).toBe(expected));

  test.each([
    ['luminous', 'debian', 'v3.2.2-stable-3.2-luminous-debian-9-x86_64'],
    ['luminous', 'opensuse', 'v3.2.2-stable-3.2-luminous-opensuse-42.3-x86_64'],
    ['jewel', 'ubuntu', 'v3.1.0-stable-3.1-jewel-ubuntu-16.04-x86_64'],
    ['pacific', 'centos-8', 'v6.0.6-stable-6.0-pacific-centos-8-x86_64'],
  ])('%s on %s in the real listing', (flavor, distro, expected) => {
    expect(choose(real, { flavor, distro, arch: 'x86_64' })).toBe(expected);
  });
});

describe('arch', () => {
  const bare = '6.0.7 pacific centos-8';
  const x86 = `${bare}-x86_64`;
  const arm = `${bare}-aarch64`;
  test.each(
    rows([
      ['none: the bare name', [arm, bare, x86], {}, bare],
      ['none, and no bare name: x86_64', [arm, x86], {}, x86],
      ['none: the version comes first', ['6.0.8 pacific centos-8-x86_64', bare], {}, '6.0.8 pacific centos-8-x86_64'],
      ['x86_64: its own name', [arm, bare, x86], X86, x86],
      ['x86_64: the bare name of one version', [arm, bare, '6.0.6 pacific centos-8-x86_64'], X86, bare],
      ['x86_64: never aarch64', [arm], X86, 'arch'],
      [
        'x86_64: the base comes before its own name',
        [x86, '6.0.7 pacific centos-stream8'],
        X86,
        '6.0.7 pacific centos-stream8',
      ],
      ['aarch64: its own name', [arm, bare, x86], ARM, arm],
      ['aarch64: the bare name, if its image has it, where no tag names it', [bare, x86], ARM, `read ${tag(bare)}`],
      [
        'aarch64: an older version',
        [bare, x86, '6.0.2 pacific centos-8-aarch64'],
        ARM,
        '6.0.2 pacific centos-8-aarch64',
      ],
    ]),
  )('%s', (_what, tags, asked, expected) => expect(choose(tags, asked)).toBe(expected));

  test('aarch64: the name without architecture, if its manifest has it', () => {
    const newer = tag('6.0.8 pacific centos-8');
    const listing = listed([newer, tag(arm)]);
    const read = (platforms: string[]) =>
      answer(selectCandidate(listing, policy(ARM), new Map([[newer, imageOf(platforms)]])));
    expect(read(['linux/amd64', 'linux/arm64'])).toBe(newer);
    expect(read(['linux/amd64', 'linux/arm64/v8'])).toBe(newer);
    expect(read(['linux/amd64', 'linux/arm'])).toBe(tag(arm));
  });

  test('a manifest that was read takes precedence over the name', () => {
    const known = new Map([[tag(x86), imageOf(['linux/arm64'])]]);
    expect(answer(selectCandidate(listed([tag(x86), tag(bare)]), policy(X86), known))).toBe(tag(bare));
  });
});

describe('exclude, age, expiry', () => {
  const old = tag('6.0.7 pacific centos-8');
  const young = tag('6.0.8 pacific centos-8');
  const aged = (days: Record<string, number | undefined>) =>
    Object.entries(days).map(([name, age]) => ({ name, ...(age !== undefined && { startedAt: NOW - age * DAY }) }));
  const week = policy({ minimumAge: 7 * DAY });

  test.each([
    ['younger', 2, old],
    ['by a second too young', 7 - 1 / DAY, old],
    ['exactly old enough', 7, young],
    ['set in the future', -1, old],
    ['of unknown age: its image is asked', undefined, `read ${young}`],
  ])('minimum age: %s', (_what, age, expected) => {
    expect(answer(selectCandidate(aged({ [old]: 90, [young]: age }), week))).toBe(expected);
  });

  test('all too young', () =>
    expect(answer(selectCandidate(aged({ [old]: 1, [young]: 1 }), week))).toBe('minimum-age'));

  test('a warning of an unknown age is only about the chosen tag', () => {
    const lax = { ...week, unknownAgePasses: true };
    const warnings = (days: Record<string, number | undefined>) => chosen(selectCandidate(aged(days), lax)).warnings;
    expect(warnings({ [old]: 90, [young]: undefined })).toEqual([
      `minimum-age: nothing says how old ${young} is; it passes unchecked`,
    ]);
    expect(warnings({ [old]: undefined, [young]: 90 })).toEqual([]);
    expect(chosen(selectCandidate(aged({ [old]: undefined }), policy())).warnings).toEqual([]);
  });

  test('if the listing has no times, the build time in the image counts', () => {
    const created = (days: number | undefined) =>
      new Map([[young, imageOf(['linux/amd64'], days === undefined ? undefined : NOW - days * DAY)]]);
    const select = (days: number | undefined) =>
      selectCandidate(aged({ [old]: 90, [young]: undefined }), week, created(days));
    expect(answer(select(8))).toBe(young);
    expect(chosen(select(8)).warnings).toEqual([expect.stringContaining('which a builder can set')]);
    expect(answer(select(6))).toBe(old);
    expect(chosen(select(6)).passedOver).toEqual([{ tag: young, rule: 'minimum-age', why: 'built 6 days ago' }]);
    expect(answer(select(undefined))).toBe(old);
    expect(chosen(select(undefined)).passedOver).toMatchObject([{ tag: young, why: 'of unknown age' }]);
  });

  test('exclude is a tag, a version or a digest', () => {
    expect(choose([old, young], { exclude: [young] })).toBe(old);
    expect(choose([old, young], { exclude: [`${young} `, young.toUpperCase(), 'v6.0', ''] })).toBe(young);
    for (const version of ['v6.0.8', '6.0.8']) expect(choose([old, young], { exclude: [version] })).toBe(old);
    expect(choose([old, young], { exclude: [old, young] })).toBe('exclude');
  });

  test('exclude by digest reads the image if the listing has no digest', () => {
    const { digest } = { digest: `sha256:${'a'.repeat(64)}` };
    const asked = policy({ exclude: [digest] });
    expect(answer(selectCandidate(listed([old, young]), asked))).toBe(`read ${young}`);
    const known = new Map([[young, imageOf(['linux/amd64'])]]);
    expect(answer(selectCandidate(listed([old, young]), asked, known))).toBe(`read ${old}`);
  });

  test('a warning is given for an excluded tag whose build has another name, and for one that does not exist', () => {
    const tags = [`${young}-x86_64`, young, old];
    const { warnings } = chosen(
      selectCandidate(listed(tags), policy({ arch: 'x86_64', exclude: [`${young}-x86_64`, 'v9'] })),
    );
    expect(warnings).toEqual([
      expect.stringContaining(`${young} is of the same version`),
      expect.stringContaining('"v9"'),
    ]);
  });

  test('expired tags are gone', () => {
    const tags = [{ name: old }, { name: young, expired: true }];
    const selection = chosen(selectCandidate(tags, policy()));
    expect(selection.chosen.tag).toBe(old);
    expect(selection.counts).toMatchObject({ stable: 1, expired: 1 });
    expect(answer(selectCandidate([{ name: young, expired: true }], policy()))).toBe('nothing-stable');
  });

  test('an expired patch does not determine the series', () => {
    const [lone, gone] = [tag('4.0.0 luminous centos-7'), tag('4.0.1 nautilus centos-7')];
    const listing = [{ name: lone }, { name: gone, expired: true }, { name: tag('3.2.9 luminous centos-7') }];
    expect(answer(selectCandidate(listing, policy({ flavor: 'luminous' })))).toBe(lone);
  });
});

describe('scheme ceph', () => {
  const dated = { scheme: ceph, preferDated: true };
  const reef = [
    'v18',
    'v18.2',
    'v18.2.0',
    'v18.2.0-20230803',
    'v18.2.0-20230901',
    'v17.2.6',
    'v17.2.6-20230410',
    'latest',
  ];
  test.each<[string, string[], Partial<Policy>, string]>([
    ['the plain version', reef, { scheme: ceph, flavor: 'reef' }, 'v18.2.0'],
    ['the newest build of it where preferred', reef, { ...dated, flavor: 'reef' }, 'v18.2.0-20230901'],
    ['an older major', reef, { ...dated, flavor: 'quincy' }, 'v17.2.6-20230410'],
    ['the version comes before the date', ['v18.2.1', 'v18.2.0-20231231'], dated, 'v18.2.1'],
    [
      'a build where there is nothing else',
      ['v18.2.1-20231231', 'v18.2.1-20231230'],
      { scheme: ceph },
      'v18.2.1-20231231',
    ],
    ['release candidates only', ['v18.1.3', 'v18.0.0'], { scheme: ceph }, 'nothing-stable'],
    ['no such flavor', reef, { scheme: ceph, flavor: 'squid' }, 'flavor'],
    ['x86_64 is in every index', reef, { scheme: ceph, flavor: 'reef', arch: 'x86_64' }, 'v18.2.0'],
    ['aarch64 its image tells', reef, { scheme: ceph, flavor: 'reef', arch: 'aarch64' }, 'read v18.2.0'],
    ['a flavor by its major version', reef, { ...dated, flavor: '17' }, 'v17.2.6-20230410'],
    ['a flavor that has no name yet', [...reef, 'v22.2.0-20270301'], { ...dated, flavor: '22' }, 'v22.2.0-20270301'],
    ['umbrella', [...reef, 'v21.2.0-20261001'], { ...dated, flavor: 'umbrella' }, 'v21.2.0-20261001'],
    ['no distro to ask for', reef, { scheme: ceph, distro: 'centos' }, 'distro'],
  ])('%s', (_what, tags, asked, expected) => expect(choose(tags, asked)).toBe(expected));
});

describe('what a tag turns out to be', () => {
  const [newest, older] = ['6.0.9 pacific centos-8', '6.0.8 pacific centos-8'].map(tag) as [string, string];

  test('not an image, or gone: the next one is taken, with a warning', () => {
    const known = new Map<string, KnownImage>([[newest, { problem: 'no longer has a manifest' }]]);
    const selection = chosen(selectCandidate(listed([older, newest]), policy({ flavor: 'pacific' }), known));
    expect(selection.chosen.tag).toBe(older);
    expect(selection.warnings).toEqual([`${newest} is listed, and passed over: it no longer has a manifest`]);
  });

  test.each<[string, string[], Partial<Policy>, string]>([
    ['aarch64 alone, though it is newer', [`${newest}-aarch64`, `${older}-x86_64`], {}, `${older}-x86_64`],
    ['aarch64 alone, and nothing else', [`${newest}-aarch64`], {}, `${newest}-aarch64`],
    ['aarch64 asked for', [`${newest}-aarch64`, older], { arch: 'aarch64' }, `${newest}-aarch64`],
  ])('%s', (_what, tags, asked, expected) => expect(choose(tags, { flavor: 'pacific', ...asked })).toBe(expected));

  test('an image of one other architecture is not preferred if none is asked for', () => {
    const known = new Map([[newest, imageOf(['linux/arm64'])]]);
    const select = (asked: Partial<Policy>) =>
      answer(selectCandidate(listed([older, newest]), policy({ flavor: 'pacific', ...asked }), known));
    expect(select({})).toBe(older);
    expect(select({ arch: 'aarch64' })).toBe(newest);
    expect(select({ arch: 'x86_64' })).toBe(older);
  });
});

describe('scheme semver', () => {
  test.each<[string, string[], Partial<Policy>, string]>([
    ['without v', ['9.4.7', '10.0.0', '10.0.0-beta1', 'latest', '10'], {}, '10.0.0'],
    ['with v', ['v2.9.2', 'v2.43.0', 'v2.44.0-rc.0', 'main'], {}, 'v2.43.0'],
    ['both for one version', ['v1.2.3', '1.2.3'], {}, '1.2.3'],
    ['nothing but moving tags', ['2.3', 'latest'], {}, 'nothing-stable'],
    ['no flavor to ask for', ['1.2.3'], { flavor: 'pacific' }, 'flavor'],
  ])('%s', (_what, tags, asked, expected) => expect(choose(tags, { ...asked, scheme: semver })).toBe(expected));
});

describe('platforms', () => {
  const both = ['linux/amd64', 'linux/arm64'];
  const [newest, older, oldest] = ['6.0.9', '6.0.8', '6.0.7'].map((version) => tag(`${version} pacific centos-8`)) as [
    string,
    string,
    string,
  ];
  const listing = listed([oldest, newest, older]);
  const asked = policy({ flavor: 'pacific', platforms: both });

  /** Asks repeatedly, as a caller with a registry does. */
  function settle(there: Record<string, string[]>): { selection: Selection; read: string[] } {
    const known = new Map<string, KnownImage>();
    for (;;) {
      const selection = selectCandidate(listing, asked, known);
      if (selection.kind !== 'unread') return { selection, read: [...known.keys()] };
      known.set(selection.tag, imageOf(there[selection.tag] ?? []));
    }
  }

  test('the best tag that has all of them is chosen, and no manifest is read needlessly', () => {
    const { selection, read } = settle({
      [newest]: ['linux/amd64'],
      [older]: [...both, 'linux/s390x'],
      [oldest]: both,
    });
    expect(answer(selection)).toBe(older);
    expect(read).toEqual([newest, older]);
    expect(selection.passedOver).toEqual([{ tag: newest, rule: 'platforms', why: 'with linux/amd64 only' }]);
  });

  test('if no tag has them, nothing is chosen, and the error says what there is', () => {
    const { selection, read } = settle({ [newest]: ['linux/amd64'], [older]: ['linux/arm64'] });
    expect(read).toEqual([newest, older, oldest]);
    expect(selection).toMatchObject({ kind: 'nothing', reason: 'platforms' });
    if (selection.kind === 'nothing') {
      expect(selection.message).toBe(
        'no stable tag of flavor pacific on centos with linux/amd64 and linux/arm64; there is: ' +
          `1 with linux/amd64 only (${newest}), 1 with linux/arm64 only (${older}), 1 with no platform only (${oldest})`,
      );
    }
  });
});

describe('what is said', () => {
  test.each<[string, string[], Partial<Policy>, string]>([
    ['no tags', [], {}, 'the listing has no tags'],
    [
      'nothing stable',
      ['latest', 'latest-pacific', tag('6.0.0rc1 pacific centos-8'), 'x'],
      X86,
      'no tag is stable under scheme ceph-daemon; there is: 1 near-miss, 2 alias, 1 other',
    ],
    [
      'no such flavor',
      ['7.0.0 quincy centos-8', '7.0.1 quincy centos-8', '8.0.0 reef centos-stream9'].map(tag),
      X86,
      `no stable tag of flavor pacific; there is: 2 of flavor quincy (${tag('7.0.1 quincy centos-8')}, …), ` +
        `1 of flavor reef (${tag('8.0.0 reef centos-stream9')})`,
    ],
    [
      'no such distro',
      [tag('6.0.0 pacific debian-9'), tag('7.0.0 quincy centos-8')],
      X86,
      `no stable tag of flavor pacific on centos; there is: 1 on debian-9 (${tag('6.0.0 pacific debian-9')})`,
    ],
    [
      'no such arch',
      [tag('6.0.0 pacific centos-8-x86_64')],
      ARM,
      `no stable tag of flavor pacific on centos for aarch64; there is: 1 for x86_64 (${tag('6.0.0 pacific centos-8-x86_64')})`,
    ],
    [
      'excluded',
      ['1.2.3'],
      { scheme: semver, exclude: ['1.2.3'] },
      'no stable tag that is not excluded; there is: 1 excluded (1.2.3)',
    ],
  ])('%s', (_what, tags, asked, message) => {
    expect(selectCandidate(listed(tags), policy(asked))).toMatchObject({ kind: 'nothing', message });
  });

  test('too young', () => {
    const listing = [{ name: '1.2.3', startedAt: NOW - 2 * DAY }];
    expect(selectCandidate(listing, policy({ scheme: semver, minimumAge: 7 * DAY }))).toMatchObject({
      message: 'no stable tag at least 7 days old; there is: 1 set 2 days ago (1.2.3)',
    });
  });

  test('the only image is gone, and no property was asked for', () => {
    const known = new Map<string, KnownImage>([['1.2.3', { problem: 'no longer has a manifest' }]]);
    expect(selectCandidate(listed(['1.2.3']), policy({ scheme: semver }), known)).toMatchObject({
      message: 'no stable tag; there is: 1 unusable: the tag no longer has a manifest (1.2.3)',
    });
  });

  test('each runner-up, best first, with the reason why it lost', () => {
    const tags = [
      '6.0.7 pacific centos-stream8-x86_64',
      '6.0.7 pacific centos-stream8',
      '6.0.7 pacific centos-8-x86_64',
      '6.0.6 pacific centos-8-x86_64',
      '7.0.0 pacific centos-stream8-x86_64',
      '7.0.1 quincy centos-stream8-x86_64',
    ].map(tag);
    const selection = chosen(selectCandidate(listed(tags), policy(X86)));
    expect([selection.chosen.tag, ...selection.runnersUp.map((one) => one.tag)]).toEqual(tags.slice(0, 5));
    expect(selection.runnersUp.map(({ why }) => why)).toEqual([
      'x86_64 has a tag of its own',
      'the same version on an older base, centos-8',
      'an older version',
      'the newest patch of series 7.0 no longer carries pacific',
    ]);
    expect(selection.passedOver).toEqual([{ tag: tags[5], rule: 'flavor', why: 'of flavor quincy' }]);
  });

  test('two names of one build', () => {
    const selection = chosen(selectCandidate(listed(['v1.2.3', '1.2.3']), policy({ scheme: semver })));
    expect(selection.runnersUp).toEqual([{ tag: 'v1.2.3', why: 'the same build under another name' }]);
  });

  test('near misses, the newest first, with whether they look newer', () => {
    const hostile = `${tag('6.0.9 pacific centos-8')}\n`;
    const mismatch = 'v6.0.8-stable-6.1-pacific-centos-8';
    const older = `${tag('6.0.6 pacific centos-8')}-arm64`;
    const { nearMisses } = chosen(
      selectCandidate(listed([older, mismatch, hostile, tag('6.0.7 pacific centos-8')]), policy()),
    );
    expect(nearMisses).toEqual([
      { name: hostile, why: expect.stringMatching(/^is not a tag/), looksNewer: true },
      { name: mismatch, why: 'its series is not that of its version', looksNewer: true },
      { name: older, why: 'does not parse', looksNewer: false },
    ]);
  });

  test('the chosen tag comes with what its name and the registry say', () => {
    const name = 'v18.2.0-20230803';
    const selection = chosen(selectCandidate([{ name, startedAt: 5 }], policy({ scheme: ceph })));
    const { version, ...rest } = selection.chosen;
    expect(formatVersion(version)).toBe('18.2.0');
    expect(rest).toEqual({ tag: name, flavor: 'reef', build: '20230803', startedAt: 5 });
  });

  test('counts of the real listing', () => {
    const { counts } = selectCandidate(listed(real), policy());
    expect(Object.values(counts).reduce((sum, count) => sum + count)).toBe(real.length);
    expect(counts).toMatchObject({ prerelease: 28, 'near-miss': 0, expired: 0, other: 0 });
  });

  test.each([
    [
      'no flavor where there are several',
      ['6.0.7 pacific centos-8', '7.0.0 quincy centos-8'],
      {},
      ['flavor: none is given'],
    ],
    ['no flavor where there is one', ['6.0.7 pacific centos-8'], {}, []],
    [
      'not its home',
      ['6.0.7 pacific centos-8', '6.0.8 quincy centos-8'],
      { flavor: 'pacific' },
      ['no longer carries pacific'],
    ],
    ['one arch', ['6.0.7 pacific centos-8-aarch64'], {}, ['is for aarch64 alone']],
  ])('a warning: %s', (_what, tags, asked, expected) => {
    const { warnings } = chosen(selectCandidate(listed(tags.map(tag)), policy(asked)));
    expect(warnings).toEqual(expected.map((part) => expect.stringContaining(part)));
  });
});

test('the ranking of the real listing never goes up in version within a series', () => {
  const selection = chosen(selectCandidate(listed(real), policy({ flavor: 'luminous' })));
  const order = [selection.chosen.tag, ...selection.runnersUp.map((one) => one.tag)];
  const versions = order.map((name) => name.slice(1).split('-')[0]?.split('.').map(BigInt) ?? []);
  expect(order.length).toBeGreaterThan(50);
  for (const [index, version] of versions.entries()) {
    const next = versions[index + 1];
    if (next !== undefined && seriesOf(next) === seriesOf(version)) {
      expect(compareVersions(version, next)).toBeGreaterThanOrEqual(0);
    }
  }
});
