import { expect, test } from '@jest/globals';
import { nextPage, ownUrl } from '../../src/registry/pages.js';

const PAGE = new URL('https://registry.test/v2/a/tags/list');
const NEXT = 'https://registry.test/v2/a/tags/list?last=x&n=2';
const next = (link?: string) => nextPage(link === undefined ? {} : { link }, PAGE, 'listing')?.href;

test.each<[string | undefined, string | undefined]>([
  [undefined, undefined],
  ['', undefined],
  ['</v2/a/tags/list?last=x&n=2>; rel="next"', NEXT],
  ['<?last=x&n=2>; rel="next"', NEXT],
  ['</v2/a/tags/list?last=x&n=2>;rel=next', NEXT],
  ['</v2/a/tags/list?last=x&n=2>; rel=Next', NEXT],
  ["</v2/a/tags/list?last=x&n=2>; rel='next'", NEXT],
  ['</v2/a/tags/list?last=x&n=2>; rel="next last"', NEXT],
  ['</v2/a/tags/list?last=x&n=2>;title="x>y, z";rel="next"', NEXT],
  ['</first>; rel="first", </v2/a/tags/list?last=x&n=2>; rel="next"', NEXT],
  ['</v2/a/tags/list?last=x&n=2>; rel="next", </v2/a/tags/list?last=x&n=2>; rel="next"', NEXT],
  ['</style.css>; rel=preload; as=style', undefined],
  ['</first>; rel="first"', undefined],
  // A proxy that shows the repository under another name.
  ['</v2/inner/b/tags/list?last=x&n=2>; rel="next"', NEXT],
  ['<https://registry.test/api/v2/a/tags/list?last=x&n=2>; rel="next"', NEXT],
  // A registry behind a proxy that ends TLS.
  ['<http://registry.test/v2/a/tags/list?last=x&n=2>; rel="next"', NEXT],
  ['<http://registry.test:5000/v2/a/tags/list?last=x&n=2>; rel="next"', NEXT],
  ['<http://registry:5000/v2/a/tags/list?last=x&n=2>; rel="next"', NEXT],
  ['<https://registry:5000/v2/a/tags/list?last=x&n=2>; rel="next"', NEXT],
  ['<https://registry.svc.cluster.local/v2/a/tags/list?last=x&n=2>; rel="next"', NEXT],
])('Link: %s', (link, expected) => {
  expect(next(link)).toBe(expected);
});

test.each([
  ['</v2/a/tags/list?last=x>', 'a Link header without rel'],
  ['</v2/a/tags/list?last=x>; title="next"', 'a Link header without rel'],
  ['/v2/a/tags/list?last=x; rel="next"', 'not understood'],
  ['</v2/a/tags/list?last=x; rel="next"', 'not understood'],
  ['</a>; rel="next" </b>; rel="next"', 'not understood'],
  ['</a>; rel="next", </b>; rel="next"', 'several next pages'],
  ['<https://elsewhere.test/v2/a/tags/list?last=x>; rel="next"', 'on another server'],
  [`<${'x'.repeat(20_000)}>; rel="next"`, 'not understood'],
])('Link: %s is refused', (link, problem) => {
  expect(() => next(link)).toThrow(problem);
});

test.each([
  ['/v2/a/blobs/uploads/1?_state=x', 'https://registry.test', 'https://registry.test/v2/a/blobs/uploads/1?_state=x'],
  ['http://registry.test/v2/1', 'https://registry.test:5000', 'https://registry.test:5000/v2/1'],
  ['http://inner/v2/1', 'http://registry.test:5000', 'http://registry.test:5000/v2/1'],
  ['https://storage.test/v2/1', 'https://registry.test', 'https://storage.test/v2/1'],
  ['http://127.0.0.1:2/v2/1', 'http://127.0.0.1:1', 'http://127.0.0.1:2/v2/1'],
  ['http://localhost:2/v2/1', 'http://127.0.0.1:1', 'http://localhost:2/v2/1'],
])('Location %s of %s is %s', (location, asked, expected) => {
  expect(ownUrl(location, new URL(asked))?.href).toBe(expected);
});
