import { expect, test } from '@jest/globals';
import { renderFeed } from '../../src/monitoring/feed.js';
import { summarize } from '../../src/monitoring/summarize.js';
import { busyHistory, candidate, DAY, emptyHistory, NOW, record, SETTINGS } from './fixture.js';

function all(feed: string, pattern: RegExp): (string | undefined)[] {
  return [...feed.matchAll(pattern)].map(([, text]) => text);
}

test('has the newest promotions of all branches, newest first, each with an id of its own', () => {
  const feed = renderFeed(summarize([busyHistory('master', 40), busyHistory('zed', 40, 7 * DAY, 2)], SETTINGS, NOW));
  const times = all(feed, /<entry>.*?<updated>(.*?)<\/updated>/gs);
  expect(times).toHaveLength(50);
  expect(times).toEqual([...times].sort().reverse());
  expect(/<updated>(.*?)</.exec(feed)?.[1]).toBe(times[0]);
  const ids = all(feed, /<entry>\s*<id>urn:uuid:([0-9a-f-]{36})<\/id>/g);
  expect(new Set(ids).size).toBe(50);
  expect(all(feed, /<title>(master|zed): current-ceph (?:earned:|forced:|rolled back to) v6/g)).toHaveLength(50);
});

test('an entry says who, what and why, and text from outside is escaped', () => {
  const image = candidate('v6.0.8-new');
  const one = record([], image, NOW - DAY, {
    kind: 'forced',
    who: '<b>eve</b>',
    reason: ']]> & \ud800',
    'run-url': 'https://forge.example/run?a=1&b=2',
  });
  const feed = renderFeed(summarize([emptyHistory('master', { records: [one] })], SETTINGS, NOW));
  expect(feed).toContain('<title>master: current-ceph forced: v6.0.8-new</title>');
  expect(feed).toContain('<updated>2026-11-23T11:34:00Z</updated>');
  expect(feed).toContain('<name>&lt;b&gt;eve&lt;/b&gt;</name>');
  expect(feed).toContain('<link rel="alternate" href="https://forge.example/run?a=1&amp;b=2"/>');
  expect(feed).toContain(
    `<content type="text">quay.io/ceph/daemon:v6.0.8-new@${image.digest}\n]]&gt; &amp; \ufffd</content>`,
  );
});

test('is a valid feed even without a promotion', () => {
  const feed = renderFeed(summarize([emptyHistory('master')], SETTINGS, NOW));
  expect(feed).toContain('<id>https://images.example/ceph/daemon/master/ledger/current-ceph/</id>');
  expect(feed).toContain('<updated>2026-11-24T11:34:00Z</updated>');
  expect(feed).not.toContain('<entry>');
});
