import { expect, test } from '@jest/globals';
import { parseTargets } from '../../src/promotion/targets.js';
import { candidateTargets, isPromotedTo, targetOf, unconfiguredTargets } from '../../src/rules/targets.js';
import { digestOf, image, recordOf, tag } from '../ledger/fixture.js';

const COMPANION = 'quay.io/x/y:2.3 -> quay.example/a/y';
const LINES = ['quay.example/a/daemon', 'quay.example/b/daemon'];
const configured = (lines: readonly string[]) => parseTargets(lines);
const own = candidateTargets(configured(LINES), image('v1'));
const [companion] = configured([...LINES, COMPANION]).companions;
const companions =
  companion === undefined
    ? []
    : [targetOf(companion.repository, { ...companion.source, tag: tag('2.3'), digest: digestOf('y') })];
const alone = recordOf('v1', 1, undefined, { targets: own });
const withCompanion = recordOf('v1', 1, undefined, { targets: [...own, ...companions] });

test.each([
  ['the same', alone, LINES, 'v1', true],
  ['another image', alone, LINES, 'v2', false],
  ['to one target more', alone, [...LINES, 'quay.example/c/daemon'], 'v1', false],
  ['to one target less', alone, LINES.slice(1), 'v1', false],
  ['to another target', alone, [...LINES.slice(1), 'quay.example/c/daemon'], 'v1', false],
  ['without its companion', alone, [...LINES, COMPANION], 'v1', false],
  ['with its companion', withCompanion, [...LINES, COMPANION], 'v1', true],
  ['with another version of it', withCompanion, [...LINES, COMPANION.replace('2.3', '2.4')], 'v1', false],
  ['with a companion that is dropped', withCompanion, LINES, 'v1', false],
  ['to a target under another name', alone, ['QUAY.example:443/a/daemon', ...LINES.slice(1)], 'v1', true],
])('what is promoted: %s', (_, record, lines, name, expected) => {
  expect(isPromotedTo(record, configured(lines), image(name))).toBe(expected);
});

test('targets that are no longer configured are named', () => {
  expect(unconfiguredTargets(configured(LINES), alone)).toEqual([]);
  expect(unconfiguredTargets(configured(LINES.slice(1)), alone)).toEqual(['quay.example/a/daemon']);
});
