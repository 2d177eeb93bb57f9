import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { markup, render } from '../../src/monitoring/markup.js';

describe('markup', () => {
  test.each([
    ['text', render(markup`<b>${'<i>'}</b>`), '<b>&lt;i&gt;</b>'],
    ['an attribute', render(markup`<b title="${'"\''}">`), '<b title="&quot;&#39;">'],
    ['markup inside', render(markup`<b>${markup`<i>${'&'}</i>`}</b>`), '<b><i>&amp;</i></b>'],
    ['a list', render(markup`${[1, 'a', markup`<i>`, undefined, ['b']]}`), '1a<i>b'],
    ['nothing', render(markup`[${undefined}]`), '[]'],
    ['what XML cannot hold', render('a\u0000\u001f\ud800\uffffb'), 'a\ufffd\ufffd\ufffd\ufffdb'],
    ['a pair of surrogates', render('🐙'), '🐙'],
  ])('%s', (_, made, expected) => {
    expect(made).toBe(expected);
  });

  test('text never opens or closes an element, and reads back unchanged', () => {
    const entities = new Map([
      ['&lt;', '<'],
      ['&gt;', '>'],
      ['&quot;', '"'],
      ['&#39;', "'"],
      ['&amp;', '&'],
    ]);
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (graphemes, printable) => {
        const text = graphemes + printable;
        const made = render(markup`${text}`);
        expect(made).not.toMatch(/[<>"']/);
        expect(made.replace(/&[#\w]+;/g, (entity) => entities.get(entity) ?? '?')).toBe(text);
      }),
    );
  });

  test('an object that only looks like markup is refused', () => {
    const forged = JSON.parse('{"html": "<script>"}');
    expect(() => render(forged)).toThrow();
  });
});
