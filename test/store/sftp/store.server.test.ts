import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as v from 'valibot';
import { systemClock } from '../../../src/base/clock.js';
import { type Tag, tagSchema } from '../../../src/candidate/reference.js';
import { type Label, previousLabel } from '../../../src/ledger/names.js';
import { httpReader } from '../../../src/store/http-reader.js';
import type { LastDecision } from '../../../src/store/last-decision.js';
import { serverSchema } from '../../../src/store/sftp/address.js';
import { connectSftp } from '../../../src/store/sftp/session.js';
import { createSftpStore } from '../../../src/store/sftp/sftp-store.js';
import { findKnownHost } from '../../../src/store/ssh/host-keys.js';
import { readPrivateKey } from '../../../src/store/ssh/private-key.js';
import { freshImageDirectory, sandbox } from '../../sandbox/current.js';
import { candidateFile, failure, http, label, silent, TESTING, withServer } from '../fixture.js';

const tag = (text: string): Tag => v.parse(tagSchema, text);
const CURRENT = label('current-ceph');

describe('an artifact', () => {
  test('is a file that contains its own name, with a candidate file next to it', async () => {
    const { server, path, url } = await freshImageDirectory();
    const file = candidateFile('v6.0.7-stable-6.0-pacific-centos-stream8');
    const read = await withServer(server, async (opened) => {
      await opened.writeArtifact(file);
      await opened.writeArtifact(file);
      return opened.readArtifact(file.tag);
    });
    expect(read).toEqual(file);
    expect(readFileSync(join(path, file.tag), 'utf8')).toBe(file.tag);
    expect(JSON.parse(readFileSync(join(path, `${file.tag}.json`), 'utf8'))).toEqual(file);
    expect(readdirSync(path)).toEqual([file.tag, `${file.tag}.json`]);
    expect(statSync(join(path, file.tag)).mode & 0o777).toBe(0o644);
    expect(await (await fetch(`${url}/${file.tag}`)).text()).toBe(file.tag);
  });

  test('of another digest, or of another repository, is a conflict that names the way out', async () => {
    const { server, path } = await freshImageDirectory();
    await withServer(server, async (opened) => {
      await opened.writeArtifact(candidateFile('v1'));
      const before = readFileSync(join(path, 'v1.json'), 'utf8');
      const other = await failure(opened.writeArtifact(candidateFile('v1', 'other')));
      expect(other).toEqual({
        kind: 'conflict',
        message: expect.stringMatching(/^tag v1 is published as .* and does not change to /),
      });
      const mirrored = candidateFile('v1');
      mirrored.reference = mirrored.reference.replace('quay.io', 'mirror.example');
      expect(await failure(opened.writeArtifact(mirrored))).toMatchObject({ kind: 'conflict' });
      expect(readFileSync(join(path, 'v1.json'), 'utf8')).toBe(before);
    });
  });

  test.each([
    ['as RDO writes it', 'v1.2.3', 'bare'],
    ['with a newline', 'v1.2.3\n', 'bare'],
    ['empty', '', undefined],
    ['cut off', 'v1.2', undefined],
  ])('%s is read, and its candidate file is added', async (_, content, expected) => {
    const { server, path } = await freshImageDirectory();
    writeFileSync(join(path, 'v1.2.3'), content);
    const file = candidateFile('v1.2.3');
    await withServer(server, async (opened) => {
      expect(await opened.readArtifact(file.tag)).toEqual(expected);
      await opened.writeArtifact(file);
      expect(await opened.readArtifact(file.tag)).toEqual(file);
    });
    expect(readFileSync(join(path, 'v1.2.3'), 'utf8').trimEnd()).toBe('v1.2.3');
    expect(readdirSync(path)).toEqual(['v1.2.3', 'v1.2.3.json']);
  });

  test.each<[string, (path: string) => void]>([
    ['another text', (path) => writeFileSync(join(path, 'v1'), 'v2')],
    ['two newlines', (path) => writeFileSync(join(path, 'v1'), 'v1\n\n')],
    ['more text', (path) => writeFileSync(join(path, 'v1'), 'v1 and something else')],
    ['a directory', (path) => mkdirSync(join(path, 'v1'))],
    ['a label', (path) => symlinkSync('v0', join(path, 'v1'))],
    [
      'a candidate file that is none',
      (path) => {
        writeFileSync(join(path, 'v1'), 'v1');
        writeFileSync(join(path, 'v1.json'), '{"tag":"v1"');
      },
    ],
    [
      'a candidate file of another tag',
      (path) => {
        writeFileSync(join(path, 'v1'), 'v1');
        writeFileSync(join(path, 'v1.json'), JSON.stringify(candidateFile('v2')));
      },
    ],
    [
      'a candidate file that is a directory',
      (path) => {
        writeFileSync(join(path, 'v1'), 'v1');
        mkdirSync(join(path, 'v1.json'));
      },
    ],
  ])('whose name is taken by %s is an error, and that stays', async (_, prepare) => {
    const { server, path } = await freshImageDirectory();
    prepare(path);
    const before = snapshot(path);
    await withServer(server, async (opened) => {
      for (const work of [() => opened.readArtifact(tag('v1')), () => opened.writeArtifact(candidateFile('v1'))]) {
        const { kind, message } = await failure(work());
        expect(kind).toMatch(/^(?:conflict|bad-answer)$/);
        expect(message).toContain(`${server}/v1`);
        expect(message).not.toContain('\n');
      }
    });
    expect(snapshot(path)).toEqual(before);
  });

  test.each(['current-ceph', 'previous-current-ceph', 'ledger', 'null', 'x.json', '../evil', '.', '-oProxyCommand=x'])(
    'called %j is refused before anything is sent',
    async (name) => {
      const { server, path } = await freshImageDirectory();
      const file = {
        ...candidateFile('v1'),
        tag: name as Tag,
        reference: candidateFile('v1').reference.replace(':v1@', `:${name}@`),
      };
      const { kind, message } = await withServer(server, (opened) => failure(opened.writeArtifact(file)));
      expect(kind).toBe('UserError');
      expect(message).toMatch(/^cannot publish /);
      expect(readdirSync(path)).toEqual([]);
      expect(existsSync(join(path, '../evil'))).toBe(false);
    },
  );

  test('is listed, and removed unless a label needs it', async () => {
    const { server, path } = await freshImageDirectory();
    writeFileSync(join(path, 'index.html'), '<html>');
    writeFileSync(join(path, 'v0'), 'v0');
    await withServer(server, async (opened) => {
      for (const name of ['v1', 'v2']) await opened.writeArtifact(candidateFile(name));
      await opened.moveLabel(CURRENT, tag('v2'));
      expect((await opened.listArtifacts()).sort()).toEqual(['v0', 'v1', 'v2']);
      expect(await failure(opened.removeArtifact(tag('v2')))).toEqual({
        kind: 'UserError',
        message: expect.stringContaining('label current-ceph points at it'),
      });
      expect(await failure(opened.removeArtifact(tag('index.html')))).toMatchObject({ kind: 'conflict' });
      for (const name of ['v0', 'v1', 'v1', 'v9']) await opened.removeArtifact(tag(name));
    });
    expect(readdirSync(path).sort()).toEqual(['current-ceph', 'index.html', 'v2', 'v2.json']);
  });
});

describe('a label', () => {
  test('is a symlink to an artifact next to it', async () => {
    const { server, path, url } = await freshImageDirectory();
    await withServer(server, async (opened) => {
      expect(await opened.readLabel(CURRENT)).toBeUndefined();
      for (const name of ['v1', 'v2']) {
        await opened.writeArtifact(candidateFile(name));
        await opened.moveLabel(CURRENT, tag(name));
        await opened.moveLabel(CURRENT, tag(name));
        expect(await opened.readLabel(CURRENT)).toBe(name);
        expect(readlinkSync(join(path, 'current-ceph'))).toBe(name);
        expect(await (await fetch(`${url}/current-ceph`)).text()).toBe(name);
      }
      await opened.removeLabel(CURRENT);
      await opened.removeLabel(CURRENT);
      expect(await opened.readLabel(CURRENT)).toBeUndefined();
    });
    expect(readdirSync(path).sort()).toEqual(['v1', 'v1.json', 'v2', 'v2.json']);
  });

  test.each([undefined, '', 'v', 'other'])('does not move to an artifact that holds %j', async (content) => {
    const { server, path } = await freshImageDirectory();
    if (content !== undefined) writeFileSync(join(path, 'v1'), content);
    const { kind } = await withServer(server, (opened) => failure(opened.moveLabel(CURRENT, tag('v1'))));
    expect(kind).toMatch(/^(?:not-found|conflict)$/);
    expect(existsSync(join(path, 'current-ceph'))).toBe(false);
  });

  test.each<[string, (label: string, path: string) => void]>([
    ['a directory', (path) => mkdirSync(path)],
    ['a file', (path) => writeFileSync(path, 'v0')],
    ['a link out of the directory', (path) => symlinkSync('../v0', path)],
    ['a link to an absolute path', (path) => symlinkSync('/etc/passwd', path)],
    ['a link to .', (path) => symlinkSync('.', path)],
    ['a link to a name with a newline', (path) => symlinkSync('v0\nv1', path)],
  ])('that is %s is refused, and stays', async (_, prepare) => {
    const { server, path } = await freshImageDirectory();
    prepare(join(path, 'current-ceph'), path);
    await withServer(server, async (opened) => {
      await opened.writeArtifact(candidateFile('v1'));
      const before = snapshot(path);
      for (const work of [
        () => opened.readLabel(CURRENT),
        () => opened.moveLabel(CURRENT, tag('v1')),
        () => opened.removeLabel(CURRENT),
      ]) {
        const { kind, message } = await failure(work());
        expect(kind).toBe('conflict');
        expect(message).toContain(`${server}/current-ceph`);
        expect(message).not.toContain('\n');
      }
      expect(snapshot(path)).toEqual(before);
    });
  });
});

test('what disappears between two requests does not exist', async () => {
  const { server, path } = await freshImageDirectory();
  const address = v.parse(serverSchema, server);
  const { knownHosts, privateKey } = sandbox().imageServer.sshd;
  const knownHost = await findKnownHost(knownHosts, address);
  const limits = { connectMs: 10_000, answerMs: 10_000 };
  const session = await connectSftp({
    server: address,
    knownHost,
    identity: { privateKey: await readPrivateKey(privateKey) },
    ...limits,
  });
  const vanish = () => {
    for (const name of ['v1', 'v1.json', 'current-ceph']) rmSync(join(path, name), { force: true });
  };
  const directory = {
    session: {
      ...session,
      stat: async (name: string) => {
        const entry = await session.stat(name);
        vanish();
        return entry;
      },
      list: async (name: string) => {
        const entries = await session.list(name);
        vanish();
        return entries;
      },
    },
    where: server,
    path,
  };
  const opened = createSftpStore(directory, systemClock, silent);
  const prepare = () => {
    writeFileSync(join(path, 'v1'), 'v1');
    symlinkSync('v1', join(path, 'current-ceph'));
  };
  for (const look of [
    () => opened.readLabel(CURRENT),
    () => opened.readArtifact(tag('v1')),
    async () => (await opened.listLinks()).get('current-ceph'),
    () => opened.removeLabel(CURRENT),
  ]) {
    prepare();
    expect(await look()).toBeUndefined();
  }
  session.close();
});

test.each([32_767, 32_768, 65_536])('a record of %i bytes is read whole', async (size) => {
  const { server, path } = await freshImageDirectory();
  mkdirSync(join(path, 'ledger/current-ceph'), { recursive: true });
  writeFileSync(join(path, 'ledger/current-ceph/1.json'), 'x'.repeat(size));
  expect(await withServer(server, (opened) => opened.readRecord(CURRENT, 1))).toHaveLength(size);
});

test('what killed runs left is removed after a day', async () => {
  const { server, path } = await freshImageDirectory();
  const uuid = '00000000-0000-4000-8000-00000000000';
  const old = new Date(Date.now() - 25 * 3600 * 1000);
  for (const name of [`.promotion-${uuid}1.tmp`, '.htaccess', 'v1', `.promotion-${uuid}2.tmp`]) {
    writeFileSync(join(path, name), 'v1');
    if (!name.includes(`${uuid}2`)) utimesSync(join(path, name), old, old);
  }
  await withServer(server, (opened) => opened.sweep());
  expect(readdirSync(path).sort()).toEqual(['.htaccess', `.promotion-${uuid}2.tmp`, 'v1']);
});

describe('after any operations', () => {
  const names = fc.constantFrom('v1', 'v1.1', 'v2-x86_64', 'v3', 'V3').map(tag);
  const labels = fc.constantFrom<Label>(CURRENT, TESTING, previousLabel(CURRENT));
  const operation = fc.oneof(
    fc.record({ kind: fc.constant('write' as const), name: names, image: fc.constantFrom('a', 'a', 'a', 'b') }),
    fc.record({ kind: fc.constant('move' as const), name: names, label: labels }),
    fc.record({ kind: fc.constant('remove-label' as const), label: labels }),
    fc.record({ kind: fc.constant('remove' as const), name: names }),
    fc.record({ kind: fc.constant('rdo' as const), name: names }),
  );

  test("the directory looks as if RDO's artifact_promoter had left it", async () => {
    const { server, path } = await freshImageDirectory();
    await withServer(server, async (opened) => {
      const operations = fc.sample(operation, { numRuns: 100, seed: 20_221_124 });
      for (const one of operations) {
        if (one.kind === 'write') await ignoreRefusal(opened.writeArtifact(candidateFile(one.name, one.image)));
        if (one.kind === 'move') await ignoreRefusal(opened.moveLabel(one.label, one.name));
        if (one.kind === 'remove-label') await opened.removeLabel(one.label);
        if (one.kind === 'remove') await ignoreRefusal(opened.removeArtifact(one.name));
        if (one.kind === 'rdo' && !existsSync(join(path, one.name))) writeFileSync(join(path, one.name), one.name);
        asRdoReads(path);
      }
      expect(new Set(operations.map(({ kind }) => kind)).size).toBe(5);
    });
  });
});

/** artifact_promoter's rules: a file's content is its name, a label is a relative link to such a file. */
function asRdoReads(path: string): void {
  for (const name of readdirSync(path)) {
    if (name.endsWith('.json')) continue;
    const entry = lstatSync(join(path, name));
    if (entry.isSymbolicLink()) {
      const target = readlinkSync(join(path, name));
      expect(readFileSync(join(path, target), 'utf8')).toBe(target);
    } else {
      expect(readFileSync(join(path, name), 'utf8')).toBe(name);
    }
  }
}

async function ignoreRefusal(work: Promise<void>): Promise<void> {
  const { kind } = await failure(work);
  expect(kind).toMatch(/^(?:none|conflict|not-found|UserError)$/);
}

/** Names, types and contents of a directory. */
function snapshot(path: string): string[] {
  return readdirSync(path)
    .sort()
    .map((name) => {
      const entry = lstatSync(join(path, name));
      if (entry.isSymbolicLink()) return `${name} -> ${readlinkSync(join(path, name))}`;
      return entry.isDirectory() ? `${name}/` : `${name}: ${readFileSync(join(path, name), 'utf8')}`;
    });
}

test('the last decision is replaced whole, and read over HTTP', async () => {
  const { server, path, url } = await freshImageDirectory();
  const decision = (n: number): LastDecision => ({
    version: 1,
    'decided-at': `2022-05-06T02:00:0${n}Z`,
    decision: 'wait',
    reason: 'job-a has not voted',
    reference: candidateFile('v1').reference,
    'run-url': null,
    report: null,
  });
  expect(await httpReader(http, new URL(url)).readLastDecision(CURRENT)).toBeUndefined();
  await withServer(server, async (opened) => {
    for (const n of [1, 2]) await opened.writeLastDecision(CURRENT, decision(n));
  });
  expect(await httpReader(http, new URL(url)).readLastDecision(CURRENT)).toEqual(decision(2));
  expect(readdirSync(join(path, 'ledger'))).toEqual(['current-ceph.json']);
});

test('directories that the ledger needs are created readable for everyone', async () => {
  const { server, path } = await freshImageDirectory();
  chmodSync(path, 0o755);
  await withServer(server, (opened) => opened.appendRecord(CURRENT, 1, Buffer.from('{"id":"a"}'), 'a'));
  expect(statSync(join(path, 'ledger/current-ceph')).mode & 0o777).toBe(0o755);
  expect(readdirSync(join(path, 'ledger/current-ceph'))).toEqual(['1.json']);
});

describe('the permissions of a store', () => {
  test('are read from the server, and only what is unsafe is reported', async () => {
    const { server, path } = await freshImageDirectory();
    const check = () =>
      withServer(server, async (opened) =>
        (await opened.checkRights({ promotedLabel: CURRENT, candidateLabel: TESTING }, { isWriter: true })).map(
          ({ severity, message }) => `${severity}: ${message}`,
        ),
      );
    expect(await check()).toEqual([]);

    mkdirSync(join(path, 'ledger'));
    mkdirSync(join(path, 'ledger/current-ceph'));
    writeFileSync(join(path, 'ledger/current-ceph/1.json'), '{}');
    expect(await check()).toEqual([]);

    chmodSync(join(path, 'ledger/current-ceph/1.json'), 0o666);
    chmodSync(join(path, 'ledger'), 0o777);
    chmodSync(path, 0o1777);
    symlinkSync('v1', join(path, 'ceph-ci-testing'));
    expect(await check()).toEqual([
      expect.stringMatching(/^unsafe: .*\/ledger: group or others may write it: .*0777/),
      expect.stringMatching(/^unsafe: .*\/ledger\/current-ceph\/1\.json: group or others may write it: .*0666/),
      expect.stringMatching(
        /^warning: .*: one account \(uid \d+\) publishes ceph-ci-testing and promotes current-ceph/,
      ),
    ]);
  });

  test('are checked for a directory behind a link', async () => {
    const { server, path } = await freshImageDirectory();
    mkdirSync(join(path, 'real'));
    chmodSync(join(path, 'real'), 0o777);
    symlinkSync('real', join(path, 'link'));
    const found = await withServer(`${server}/link`, (opened) =>
      opened.checkRights({ promotedLabel: CURRENT, candidateLabel: TESTING }, { isWriter: true }),
    );
    expect(found).toEqual([{ severity: 'unsafe', message: expect.stringContaining('group or others may write it') }]);
  });
});

test('a FIFO is reported at once as not a file', async () => {
  const { server, path } = await freshImageDirectory();
  mkdirSync(join(path, 'ledger/current-ceph'), { recursive: true });
  const names = ['ledger/current-ceph/1.json', 'ledger/current-ceph.json', 'v1', 'v2.json', 'ceph-ci-testing'];
  for (const name of names) execFileSync('mkfifo', [join(path, name)]);
  writeFileSync(join(path, 'v2'), 'v2');
  const said = await withServer(server, async (opened) => {
    const reads = [
      opened.readRecord(CURRENT, 1),
      opened.readLastDecision(CURRENT),
      opened.readArtifact(tag('v1')),
      opened.readArtifact(tag('v2')),
      opened.readLabel(TESTING),
    ];
    return Promise.all(reads.map(async (read) => failure(read)));
  });
  expect(said).toEqual(
    names.map((name) => ({
      kind: 'conflict',
      message: expect.stringMatching(new RegExp(`^${server}/${name}: is a special file, `)),
    })),
  );
});

test.each<[string, string, (at: string) => unknown]>([
  ['a directory', 'directory', (at) => mkdirSync(at)],
  ['a directory with something in it', 'directory', (at) => mkdirSync(join(at, 'x'), { recursive: true })],
  ['a FIFO', 'special file', (at) => execFileSync('mkfifo', [at])],
])('%s with the name of an old temporary file is left alone, with a warning', async (_, kind, make) => {
  const { server, path } = await freshImageDirectory();
  const name = `.promotion-${randomUUID()}.tmp`;
  make(join(path, name));
  utimesSync(join(path, name), 0, 0);
  const warnings: string[] = [];
  const log = { ...silent, warning: (message: string) => void warnings.push(message) };
  await withServer(server, (opened) => opened.sweep(), { log });
  expect(existsSync(join(path, name))).toBe(true);
  expect(warnings).toEqual([expect.stringContaining(`${server}/${name}: is a ${kind}`)]);
});

test('links to the same name by another path count as naming it', async () => {
  const { server, path } = await freshImageDirectory();
  symlinkSync('./v1', join(path, 'dotted'));
  symlinkSync(join(path, 'v2'), join(path, 'absolute'));
  symlinkSync(`../${basename(path)}/v3`, join(path, 'around'));
  symlinkSync('/elsewhere/v4', join(path, 'outside'));
  writeFileSync(join(path, 'v1'), 'v1');
  await withServer(server, async (opened) => {
    expect(Object.fromEntries(await opened.listLinks())).toEqual({
      dotted: 'v1',
      absolute: 'v2',
      around: 'v3',
      outside: 'v4',
    });
    expect(await failure(opened.removeArtifact(tag('v1')))).toMatchObject({ kind: 'UserError' });
  });
});

test('what an earlier program left unreadable is made readable before a label names it', async () => {
  const { server, path } = await freshImageDirectory();
  await withServer(server, async (opened) => {
    await opened.writeArtifact(candidateFile('v1'));
    for (const name of ['v1', 'v1.json']) chmodSync(join(path, name), 0o600);
    await opened.moveLabel(CURRENT, tag('v1'));
  });
  for (const name of ['v1', 'v1.json']) expect(statSync(join(path, name)).mode & 0o777).toBe(0o644);
});
