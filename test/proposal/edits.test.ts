import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parse, stringify } from 'yaml';
import { editText, formatYamlPath, parsePattern, parseYamlPath } from '../../src/proposal/edits.js';

const at = (path: string, value: string) => {
  const parsed = parseYamlPath(path);
  if (parsed === undefined) throw new Error(path);
  return [{ place: { kind: 'yaml-path', path: parsed } as const, value }];
};
const matching = (pattern: string, value: string, all = false) => {
  const parsed = parsePattern(pattern);
  if ('problem' in parsed) throw new Error(parsed.problem);
  return [{ place: { kind: 'pattern', pattern: parsed, all } as const, value }];
};

test('the value before is reported as it was written', () => {
  expect(editText('a: 1.10\n', at('a', 'v2'))).toMatchObject({ before: ['1.10'] });
});

test.each([
  ['a.b', ['a', 'b']],
  ['spec.images[0].tag', ['spec', 'images', 0, 'tag']],
  ['data["ceph.conf"]', ['data', 'ceph.conf']],
  ['["a \\"b\\""].c', ['a "b"', 'c']],
  ['', undefined],
  ['a..b', undefined],
  ['a[x]', undefined],
  ['a.b]', undefined],
])('the path %s', (text, path) => {
  expect(parseYamlPath(text)).toEqual(path);
});

describe('a value in YAML is replaced in place', () => {
  test.each([
    ['plain', 'a: 1 # the tag\nb: 2\n', 'a', 'v2', 'a: v2 # the tag\nb: 2\n'],
    ['single quotes', "ceph:\n  tag:  'v1'   # it's old\n", 'ceph.tag', 'v2', "ceph:\n  tag:  'v2'   # it's old\n"],
    ['double quotes', 'tag: "v1"\n', 'tag', 'v2', 'tag: "v2"\n'],
    ['what would be a number is quoted', 'tag: v1\n', 'tag', '1.10', 'tag: "1.10"\n'],
    ['what would be a date is quoted', 'tag: v1\n', 'tag', '2026-11-24', 'tag: "2026-11-24"\n'],
    ['what YAML 1.1 reads as a truth is quoted', 'tag: v1\n', 'tag', 'off', 'tag: "off"\n'],
    ['in a flow', 'a: [x, {tag: v1}]\n', 'a[1].tag', 'v2', 'a: [x, {tag: v2}]\n'],
    ['an empty value', 'tag:\nb: 1\n', 'tag', 'v2', 'tag: v2\nb: 1\n'],
    ['CRLF', 'a: 1\r\nb: 2\r\n', 'b', 'v2', 'a: 1\r\nb: v2\r\n'],
    ['an anchor stays', 'a: &tag v1\nb: *tag\n', 'a', 'v2', 'a: &tag v2\nb: *tag\n'],
    ['the document that has it', '---\na: 1\n---\nb: 2\n', 'b', 'v2', '---\na: 1\n---\nb: v2\n'],
    ['beside Jinja', 'x: "{{ y }}"\ntag: v1\n', 'tag', 'v2', 'x: "{{ y }}"\ntag: v2\n'],
    [
      'a reference',
      'image: quay.io/ceph/ceph:v1\n',
      'image',
      'quay.io/ceph/ceph:v2@sha256:a',
      'image: quay.io/ceph/ceph:v2@sha256:a\n',
    ],
    ['a byte order mark stays', '\uFEFFa: v1\n', 'a', 'v2', '\uFEFFa: v2\n'],
    ['a text by its tag', 'a: !!str v1\n', 'a', 'v2', 'a: !!str v2\n'],
    ['a value of two lines', 'a: v1\n  more\nb: 2\n', 'a', 'v2', 'a: v2\nb: 2\n'],
    ['a file without a last line end', 'a: v1', 'a', 'v2', 'a: v2'],
    ['after characters outside the basic plane', 'x: "\u{1F600}"\na: v1\n', 'a', 'v2', 'x: "\u{1F600}"\na: v2\n'],
    ['the key __proto__', '__proto__: v1\n', '__proto__', 'v2', '__proto__: v2\n'],
    ['what would be a key', 'a: v1\n', 'a', 'x: y', 'a: "x: y"\n'],
    ['what would be a comment', 'a: v1\n', 'a', 'x # y', 'a: "x # y"\n'],
    ['what would be Jinja', 'a: v1\n', 'a', '{{ x }}', 'a: "{{ x }}"\n'],
    ['what is right already', "a: 'v2'\n", 'a', 'v2', "a: 'v2'\n"],
  ])('%s', (_, text, path, value, expected) => {
    expect(editText(text, at(path, value))).toMatchObject({ text: expected });
  });

  test.each([
    ['there is none', 'a: 1\n', 'b', /there is no b/],
    ['it is a mapping', 'a: {b: 1}\n', 'a', /a is not a plain value/],
    ['it is an alias', 'a: &x v1\nb: *x\n', 'b', /b is not a plain value/],
    ['it is a block', 'a: |\n  v1\n', 'a', /block of text/],
    ['it is in two documents', '---\na: 1\n---\na: 2\n', 'a', /in 2 documents/],
    ['it is not YAML', 'a: [\n', 'a', /is not YAML/],
    ['a key is there twice', 'a: v1\na: v3\n', 'a', /is not YAML: Map keys must be unique/],
    ['it comes by a merge key', 'base: &b {tag: v1}\nx:\n  <<: *b\n', 'x.tag', /there is no x\.tag/],
    ['it comes by an alias', 'base: &b {tag: v1}\nx: *b\n', 'x.tag', /there is no x\.tag/],
    ["it is Ansible's vault", 'a: !vault v1\n', 'a', /a has the tag !vault/],
    ['it is a number by its tag', 'a: !!int 1\n', 'a', /a has the tag tag:yaml\.org,2002:int/],
    ['it is a name of every object', 'a: {b: v1}\n', 'a.constructor', /there is no a\.constructor/],
    ['the file is nested without end', `${'['.repeat(20_000)}${']'.repeat(20_000)}`, 'a', /is not YAML/],
    ['the file is empty', '', 'a', /there is no a/],
  ])('refused: %s', (_, text, path, problem) => {
    expect(editText(text, at(path, 'v2'))).toEqual({ problem: expect.stringMatching(problem) });
  });
});

describe('a pattern', () => {
  const text = 'IMAGE=ceph:v1\nOTHER=ceph:v1\n';
  test.each([
    ['of one match', '^IMAGE=ceph:(.*)$', false, { text: 'IMAGE=ceph:v2\nOTHER=ceph:v1\n', before: ['v1'] }],
    ['of two matches is refused', 'ceph:(.*)$', false, { problem: expect.stringMatching(/2 places match/) }],
    ['of two matches, all', 'ceph:(.*)$', true, { text: 'IMAGE=ceph:v2\nOTHER=ceph:v2\n', before: ['v1', 'v1'] }],
    ['of no match', 'none(.*)', true, { problem: expect.stringMatching(/nothing matches/) }],
    [
      'of no length, which would grow',
      '^IMAGE=()',
      false,
      { problem: expect.stringMatching(/would not find the new/) },
    ],
    ['of no length, everywhere', '()', true, { problem: expect.stringMatching(/would not find the new value/) }],
    [
      'that the new value does not match',
      '^IMAGE=ceph:(v1)$',
      false,
      { problem: expect.stringMatching(/new value v2/) },
    ],
    ['whose group may be absent', '^[A-Z]+(=x)?', true, { problem: expect.stringMatching(/without its group/) }],
  ])('%s', (_, pattern, all, expected) => {
    expect(editText(text, matching(pattern, 'v2', all))).toEqual(expected);
  });

  test('a new value with signs of a replacement is taken as it is', () => {
    const after = { text: 'IMAGE=ceph:$&$1\nOTHER=ceph:v1\n' };
    expect(editText(text, matching('^IMAGE=ceph:(.*)$', '$&$1'))).toMatchObject(after);
  });

  test('CRLF stays', () => {
    expect(editText('A=v1\r\nB=1\r\n', matching('^A=(.*)$', 'v2'))).toMatchObject({ text: 'A=v2\r\nB=1\r\n' });
  });

  test.each(['no group', '(two) (groups)', '('])('%s is refused', (pattern) => {
    expect(parsePattern(pattern)).toEqual({ problem: expect.any(String) });
  });
});

const key = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_.-]{0,8}$/).filter((name) => name !== '__proto__');
const value = fc.oneof(
  fc.stringMatching(/^v\d{1,2}\.\d{1,2}(-[a-z0-9]{1,8})?$/),
  fc.stringMatching(/^[ -~]{1,20}$/),
  fc.constantFrom('true', 'null', '~', '1e3', '0x1f', '12:30', "it's", '"', '# no', '- a', '@x', '%y'),
);
const leaf = fc.oneof(value, fc.integer(), fc.boolean());

const KEPT = '   # kept';

/** A mapping or sequence with texts at its leaves, as a file may have it. */
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 3 },
    fc.dictionary(key, tie('node'), { minKeys: 1, maxKeys: 4 }),
    fc.array(tie('node'), { minLength: 1, maxLength: 4 }),
  ),
  node: fc.oneof({ maxDepth: 3, withCrossShrink: true }, leaf, tie('tree')),
}));

test('if a random value of a random document changes, no byte outside its line does', () => {
  fc.assert(
    fc.property(tree, fc.nat(), value, fc.boolean(), (document, which, wanted, single) => {
      const text = stringify(document, { defaultStringType: single ? 'QUOTE_SINGLE' : 'PLAIN', lineWidth: 0 })
        .split('\n')
        .map((line) => (line === '' || /[|>][+-]?\d*$/.test(line) ? line : `${line}${KEPT}`))
        .join('\n');
      const paths = leaves(document);
      const path = paths[which % paths.length];
      fc.pre(path !== undefined && stringify(parse(text)) === stringify(document));
      if (path === undefined) return;
      const edited = editText(text, [{ place: { kind: 'yaml-path', path }, value: wanted }]);
      if ('problem' in edited) throw new Error(edited.problem);
      expect(parseYamlPath(formatYamlPath(path))).toEqual(path);
      expect(parse(edited.text)).toEqual(withValue(document, path, wanted));
      const [old, now] = [text.split('\n'), edited.text.split('\n')];
      const changed = old.flatMap((line, index) => (line === now[index] ? [] : [index]));
      expect(now).toHaveLength(old.length);
      expect(changed.length).toBeLessThanOrEqual(1);
      for (const index of changed) expect(now[index]?.endsWith(KEPT)).toBe(old[index]?.endsWith(KEPT));
    }),
    { numRuns: 300 },
  );
});

function leaves(node: unknown, path: (string | number)[] = []): (string | number)[][] {
  if (Array.isArray(node)) return node.flatMap((child, index) => leaves(child, [...path, index]));
  if (typeof node === 'object' && node !== null) {
    return Object.entries(node).flatMap(([name, child]) => leaves(child, [...path, name]));
  }
  return [path];
}

function withValue(node: unknown, path: readonly (string | number)[], wanted: string): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return wanted;
  if (Array.isArray(node)) return node.map((child, index) => (index === step ? withValue(child, rest, wanted) : child));
  const entries = Object.entries(node as object).map(([name, child]) => [
    name,
    name === step ? withValue(child, rest, wanted) : child,
  ]);
  return Object.fromEntries(entries);
}
