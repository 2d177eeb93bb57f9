import { markup, render } from './markup.js';
import type { BranchModel, DashboardModel, Promotion } from './model.js';
import { seconds } from './words.js';

const MAX_ENTRIES = 50;

/** The newest promotions and rollbacks of all branches, as an Atom feed (RFC 4287). */
export function renderFeed(model: DashboardModel): string {
  const entries = model.branches
    .flatMap((branch) => branch.promotions.map((promotion) => ({ branch, promotion })))
    .sort((a, b) => seconds(b.promotion.when) - seconds(a.promotion.when))
    .slice(0, MAX_ENTRIES);
  return render(markup`<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom">
<id>${feedId(model)}</id>
<title>${model.title}</title>
<updated>${entries[0]?.promotion.when ?? model['generated-at']}</updated>
<author><name>ceph-promotion-actions</name></author>
${entries.map(({ branch, promotion }) => entry(model, branch, promotion))}</feed>
`);
}

/** Made from the first branch's address, which is permanent. The feed does not know its own address. */
function feedId({ branches: [first], label }: DashboardModel): string {
  return `${first?.url.replace(/\/$/, '')}/ledger/${label}/`;
}

function entry({ label }: DashboardModel, { branch }: BranchModel, promotion: Promotion) {
  const { id, kind, tag, when, who, reason, reference } = promotion;
  const url = promotion['run-url'];
  const verb = kind === 'rollback' ? 'rolled back to' : kind === 'adopted' ? 'adopted as' : `${kind}:`;
  return markup`<entry>
<id>urn:uuid:${id.split('/')[2]}</id>
<title>${branch}: ${label} ${verb} ${tag}</title>
<updated>${when}</updated>
<author><name>${who}</name></author>
${
  url === null
    ? undefined
    : markup`<link rel="alternate" href="${url}"/>
`
}<content type="text">${reference}${reason === '' ? undefined : `\n${reason}`}</content>
</entry>
`;
}
