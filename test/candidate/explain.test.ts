import { describe, expect, test } from '@jest/globals';
import { explain, explainMarkdown } from '../../src/candidate/explain.js';
import type { ListedTag } from '../../src/candidate/listing.js';
import type { Policy } from '../../src/candidate/policy.js';
import { selectCandidate } from '../../src/candidate/selection.js';
import { listed, policy, tag } from './policies.js';

const chosen = tag('6.0.7 pacific centos-stream8-x86_64');
const bare = tag('6.0.7 pacific centos-stream8');
const hostile = '`v6.0.9-stable-\n<b>|';
const tags = [bare, tag('7.0.0 quincy centos-stream8'), 'latest', hostile];

function select(listing: readonly ListedTag[], asked: Partial<Policy> = {}) {
  return selectCandidate(listing, policy({ flavor: 'pacific', arch: 'x86_64', ...asked }));
}

describe('explaining', () => {
  test('a choice: what was chosen, counts, runners-up, what was passed over, near misses', () => {
    expect(explain(select([{ name: chosen, startedAt: 0 }, ...listed(tags)]))).toEqual([
      `chose ${chosen}: version 6.0.7, pacific, centos-stream8, x86_64, set 1970-01-01T00:00:00Z`,
      '5 tags read: 3 stable, 1 near-miss, 1 alias',
      '"`v6.0.9-stable- <b>|" looks newer, but is not a tag: tags are 1 to 128 of A-Z a-z 0-9 _ . -',
      `runner-up ${bare}: x86_64 has a tag of its own`,
      `passed over: 1 of flavor quincy (${tag('7.0.0 quincy centos-stream8')})`,
    ]);
  });

  test('the same in Markdown, where no name can end its code span', () => {
    const markdown = explainMarkdown(select(listed([chosen, ...tags])));
    expect(markdown).toContain(`- chose \`${chosen}\`: version 6.0.7, pacific, centos-stream8, x86_64\n`);
    expect(markdown).toContain("- `'v6.0.9-stable- <b>|` looks newer, but is not a tag");
    expect(
      markdown
        .trimEnd()
        .split('\n')
        .every((line) => line.startsWith('- ')),
    ).toBe(true);
  });

  test('other tags of the same image come after the choice', () => {
    const markdown = explainMarkdown(select(listed([chosen])), ['v6', '`|']);
    expect(markdown.split('\n').slice(1, 3)).toEqual(['- the same image: `v6`', "- the same image: `'|`"]);
  });

  test('no choice: why, and which tags there were', () => {
    expect(explain(select(listed([])))).toEqual(['the listing has no tags', '0 tags read']);
    expect(explain(select(listed(['latest', 'x'])))).toEqual([
      'no tag is stable under scheme ceph-daemon; there is: 1 alias, 1 other',
      '2 tags read: 1 alias, 1 other',
    ]);
    expect(explain(select(listed([bare, hostile]), { flavor: 'reef' }))).toEqual([
      `no stable tag of flavor reef; there is: 1 of flavor pacific (${bare})`,
      '2 tags read: 1 stable, 1 near-miss',
      expect.stringContaining('looks newer'),
    ]);
  });

  test('a tag whose platforms have to be read first', () => {
    const lines = explain(select(listed([chosen]), { platforms: ['linux/amd64'] }));
    expect(lines[0]).toBe(`${chosen} is the best if its image fits`);
  });

  test('a long list is cut, and counted', () => {
    const many = Array.from({ length: 30 }, (_, patch) => tag(`6.0.${patch} pacific centos-8-x86_64`));
    const misses = many.map((name) => `${name}.sig`);
    const lines = explain(select(listed([...many, ...misses])));
    expect(lines[0]).toMatch(/^chose v6\.0\.29-/);
    expect(lines).toContain('and 19 more runners-up');
    expect(lines).toContain('and 20 more that look stable');
    expect(lines).toHaveLength(2 + 11 + 11);
  });
});
