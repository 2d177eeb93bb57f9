import type { Hint } from '../../base/errors.js';

/**
 * The wordings of each hint, the best first. `{name}` is an input of the action that fails, `{action.name}` one of
 * another action. An action says the first wording whose own inputs it all has.
 */
const WORDINGS: Readonly<Record<Hint, readonly [string, ...string[]]>> = {
  'exclude-tag': ['add the tag to {exclude}', 'add the tag to {find-stable-tag.exclude}'],
  'allow-unpinned': [
    'set {allow-unpinned} to accept the tag without a digest',
    'publish it again with publish-ci-testing, which records the digest',
  ],
  image: ['see {image}', 'see {reference}', 'check the repository of the image'],
  'known-tags': [
    'if tags were deleted on purpose, set {known-tags} to 0',
    'if tags were deleted on purpose, set {find-stable-tag.known-tags} to 0',
  ],
  'distribution-listing': [
    'set {listing} to distribution',
    'set {find-stable-tag.listing} to distribution where it lists tags',
  ],
  reference: ['see {reference}', 'see {branches}', 'check what {publish-ci-testing.reference} was'],
  'log-in-to-source': [
    'set {registry-username} and {registry-password}',
    'log in to the registry with `docker login` before this step',
  ],
  'log-in-to-target': [
    'set {target-username} and {target-password}',
    'log in to the registry with `docker login` before this step',
  ],
  'log-in-with-docker': ['log in to the registry with `docker login` before this step'],
  'trust-token-host': [
    'if that server may have the login, add it to {token-hosts}',
    'only token servers on the site of the registry get its login here',
  ],
  'trust-certificate': [
    'name a PEM file with the certificate of its authority in {ca-file}, or in the variable NODE_EXTRA_CA_CERTS',
    'name a PEM file with the certificate of its authority in the variable NODE_EXTRA_CA_CERTS',
  ],
  'use-plain-http': [
    'if the registry speaks http, add it to {plain-http}',
    'only registries on loopback may speak http here',
  ],
  targets: ['see {targets}', 'see {evaluate-and-promote.targets}'],
  'referrers-off': [
    'set {referrers} to off to promote without signatures and other referrers',
    'set {evaluate-and-promote.referrers} to off to promote without signatures and other referrers',
  ],
  server: ['see {server}', 'check the address of the store'],
  url: [
    'see {url} and {label}',
    'see {url} and {promoted-label}',
    'see {branches}',
    'see {server}',
    'check the address of the store',
  ],
  'candidate-label': ['see {candidate-label}', 'see {label}', 'see {publish-ci-testing.label}'],
  'promoted-label': ['see {promoted-label}', 'see {label}', 'see {evaluate-and-promote.promoted-label}'],
  'private-key': [
    'check {ssh-private-key}, or run an agent (SSH_AUTH_SOCK)',
    'run an agent that has the key (SSH_AUTH_SOCK)',
  ],
  'known-hosts': ['see {ssh-known-hosts}', 'check the known hosts of the store'],
  'git-token': ['see {git-token}', 'check the token for the git store'],
  'ledger-key': ['see {ledger-key}', 'see {evaluate-and-promote.ledger-key}'],
  criteria: ['see {criteria}', 'see {evaluate-and-promote.criteria}'],
  'max-age': ['run the jobs again, or raise max-age in the criteria'],
  needs: ['set {needs} to ${{ toJSON(needs) }}', 'set {evaluate-and-promote.needs} to ${{ toJSON(needs) }}'],
  'dlrn-url': [
    'see {dlrn-url}, such as https://trunk.rdoproject.org/api-centos9-master-uc',
    'see {branches}, whose third word is a DLRN API',
    'check the URL of the DLRN API',
  ],
  'log-in-to-dlrn': ['set {username} and {password}', 'set the login for DLRN'],
  'dlrn-hash': [
    'see {aggregate-hash}, or {commit-hash}, {distro-hash} and {extended-hash}',
    'see {dlrn-label}',
    'check the hash in DLRN',
  ],
  'dlrn-repository': ['see {repository-url}', 'check the URL of the DLRN repository'],
  zuul: ['see {zuul-url} and {zuul-tenant}', 'check the URL and the tenant of Zuul'],
  'zuul-pipelines': ['see {zuul-pipelines}', 'see {evaluate-and-promote.zuul-pipelines}'],
  'job-id': ['see {job-id}', 'see {report-dlrn.job-id}'],
  'job-url': ['see {job-url}', 'see {report-dlrn.job-url}'],
  timestamp: ['see {timestamp}', 'see {report-dlrn.timestamp}'],
  force: [
    'a person can promote it with {force-tag}, {force-confirm} and {force-reason}',
    'a person can promote it with {evaluate-and-promote.force-tag}',
  ],
  'skip-jobs': [
    'name in {skip-jobs} every unmet job, and no other',
    'name in {evaluate-and-promote.skip-jobs} every unmet job, and no other',
  ],
  'roll-back': [
    'go back with {rollback-to} and {force-reason}',
    'go back with {evaluate-and-promote.rollback-to} and {evaluate-and-promote.force-reason}',
  ],
  hold: ['hold it with {hold} and {force-reason}', 'hold it with {evaluate-and-promote.hold}'],
  'lift-hold': [
    'lift the hold with {lift-hold} and {force-reason}',
    'lift the hold with {evaluate-and-promote.lift-hold}',
  ],
  quarantine: [
    'see {quarantine}; name an image that is not known yet as image:tag@digest',
    'see {evaluate-and-promote.quarantine}',
  ],
  adopt: [
    'check what the moving tags point at, then let a person adopt it with {adopt} and {force-reason}',
    'check what the moving tags point at, then let a person adopt it with {evaluate-and-promote.adopt}',
  ],
  'dispatch-anew': ['start a new run instead of running this one again'],
  freeze: ['clear {freeze} first', 'clear {evaluate-and-promote.freeze} first'],
  branches: ['see {branches}', 'see {publish-dashboard.branches}'],
  output: ['see {output}', 'see {publish-dashboard.output}'],
  webhook: ['see {webhook-url}', 'see {evaluate-and-promote.webhook-url}'],
};

/** All hints, for the test that words each of them for each action. */
export const HINTS = Object.keys(WORDINGS) as Hint[];

/** A hint in the words of an action with these inputs. */
export function wordHint(hint: Hint, inputs: Readonly<Record<string, unknown>>): string {
  const isOurs = (wording: string) => namesIn(wording).every((name) => name.includes('.') || name in inputs);
  const [first, ...others] = WORDINGS[hint];
  const wording = [first, ...others].find(isOurs) ?? first;
  return wording.replace(NAME, (_, name: string) => {
    const [owner = '', input] = name.split('.');
    return input === undefined ? `the input ${owner}` : `the input ${input} of ${owner}`;
  });
}

/** Inputs that a wording names, as `input` or `action.input`. GitHub's expressions have two braces. */
const NAME = /(?<![{$])\{([a-z][a-z.-]*)\}/g;

function namesIn(wording: string): string[] {
  return [...wording.matchAll(NAME)].map(([, name = '']) => name);
}
