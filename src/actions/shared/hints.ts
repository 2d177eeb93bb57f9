import type { Hint } from '../../base/errors.js';

/**
 * The wordings of each hint, best first. `{name}` is an input of the failing action, `{action.name}` one of another
 * action, and `{name+name}` stands for several. An action uses the first wording whose own inputs it all has.
 */
const WORDINGS: Readonly<Record<Hint, readonly [string, ...string[]]>> = {
  'exclude-tag': ['add the tag to {exclude}', 'add the tag to {find-stable-tag.exclude}'],
  'allow-unpinned': [
    'set {allow-unpinned} to accept the tag without a digest',
    'publish it again with publish-ci-testing, which records the digest',
  ],
  image: ['check {image}', 'check {reference}', 'check the repository of the image'],
  'known-tags': [
    'if tags were deleted on purpose, set {known-tags} to 0',
    'if tags were deleted on purpose, set {find-stable-tag.known-tags} to 0',
  ],
  scheme: ['set {scheme}', 'set {find-stable-tag.scheme}'],
  pattern: ['check {pattern}', 'check {find-stable-tag.pattern}'],
  companions: ['check {companions}', 'check {find-stable-tag.companions}'],
  flavor: ['check {flavor}', 'check {find-stable-tag.flavor}'],
  distro: ['check {distro}', 'check {find-stable-tag.distro}'],
  arch: ['check {arch}', 'check {find-stable-tag.arch}'],
  'minimum-age': ['check {minimum-age}', 'check {find-stable-tag.minimum-age}'],
  platforms: ['check {platforms}', 'check {find-stable-tag.platforms}'],
  'distribution-listing': ['set {listing} to distribution', 'set {find-stable-tag.listing} to distribution'],
  reference: ['check {reference}', 'check {branches}', 'check what {publish-ci-testing.reference} was'],
  'log-in-to-source': [
    'set {registry-username+registry-password}',
    'log in to the registry with `docker login` before this step',
  ],
  'log-in-to-target': [
    'set {target-username+target-password}',
    'log in to the registry with `docker login` before this step',
  ],
  'log-in-with-docker': ['log in to the registry with `docker login` before this step'],
  'trust-token-host': [
    'if that server may have the login, add it to {token-hosts}',
    'only token servers on the site of the registry get its login here',
  ],
  'trust-certificate': [
    'set {ca-file} or the variable NODE_EXTRA_CA_CERTS to a PEM file with the certificate of its authority',
    'set the variable NODE_EXTRA_CA_CERTS to a PEM file with the certificate of its authority',
  ],
  'use-plain-http': [
    'if the registry speaks http, add it to {plain-http}',
    'only registries on loopback may speak http here',
  ],
  targets: ['check {targets}', 'check {evaluate-and-promote.targets}'],
  server: ['check {server}', 'check the address of the store'],
  url: [
    'check {url+label}',
    'check {url+promoted-label}',
    'check {branches}',
    'check {server}',
    'check the address of the store',
  ],
  'promoted-label': ['check {promoted-label}', 'check {label}', 'check {evaluate-and-promote.promoted-label}'],
  'private-key': [
    'check {ssh-private-key}, or run an agent (SSH_AUTH_SOCK)',
    'run an agent that has the key (SSH_AUTH_SOCK)',
  ],
  'known-hosts': ['check {ssh-known-hosts}', 'check the known hosts of the store'],
  'git-token': ['check {token}', 'check {git-token}', 'check the token for the git store'],
  'branch-rules': ['check the rules for the branch: this job pushes to it directly, without a review'],
  'ledger-key': [
    'check {ledger-key}; if it is right, somebody else wrote the record, and the ledger has to be restored',
    'check {evaluate-and-promote.ledger-key}; if it is right, somebody else wrote the record, and the ledger has to be restored',
  ],
  'signing-key': ['check {sign}, and {signing-key+signing-key-password}', 'check {evaluate-and-promote.signing-key}'],
  'sign-off': ['set {sign} to off to promote without a signature', 'set {evaluate-and-promote.sign} to off'],
  'trusted-root': ['check {trusted-root}', 'check {verify-ledger.trusted-root}'],
  verify: ['check {verify}', 'check {verify-ledger.verify}'],
  'restore-ledger': [
    'nothing is promoted until the ledger is restored, from a backup or from the proofs with {restore-to}',
    'nothing is promoted until the ledger is restored, from a backup or from the proofs with {verify-ledger.restore-to}',
  ],
  criteria: ['check {criteria}', 'check {evaluate-and-promote.criteria}'],
  needs: ['set {needs} to ${{ toJSON(needs) }}', 'set {evaluate-and-promote.needs} to ${{ toJSON(needs) }}'],
  'dlrn-url': [
    'check {dlrn-url}, such as https://trunk.rdoproject.org/api-centos9-master-uc',
    'check {branches}, whose third word is a DLRN API',
    'check the URL of the DLRN API',
  ],
  'log-in-to-dlrn': ['set {username+password}', 'set the login for DLRN'],
  'dlrn-hash': [
    'check {aggregate-hash}, or {commit-hash+distro-hash+extended-hash}',
    'check {dlrn-label}',
    'check the hash in DLRN',
  ],
  'dlrn-label': ['check {dlrn-label}', 'check {evaluate-and-promote.dlrn-label}'],
  'dlrn-repository': ['check {repository-url}', 'check the URL of the DLRN repository'],
  zuul: ['check {zuul-url+zuul-tenant}', 'check the URL and the tenant of Zuul'],
  'job-id': ['check {job-id}', 'check {report-dlrn.job-id}'],
  'job-url': ['check {job-url}', 'check {report-dlrn.job-url}'],
  timestamp: ['check {timestamp}', 'check {report-dlrn.timestamp}'],
  'forced-tag': ['check {force-tag}', 'check {evaluate-and-promote.force-tag}'],
  'earlier-tag': ['check {rollback-to}', 'check {evaluate-and-promote.rollback-to}'],
  'held-image': ['check {hold}', 'check {evaluate-and-promote.hold}'],
  force: [
    'a person can promote it with {force-tag+force-confirm+force-reason}',
    'a person can promote it with {evaluate-and-promote.force-tag}',
  ],
  'skip-jobs': [
    'name every unmet job, and no other, in {skip-jobs}',
    'name every unmet job, and no other, in {evaluate-and-promote.skip-jobs}',
  ],
  'roll-back': [
    'go back with {rollback-to+force-reason}',
    'go back with {evaluate-and-promote.rollback-to+force-reason}',
  ],
  'lift-hold': ['check {lift-hold}', 'check {evaluate-and-promote.lift-hold}'],
  quarantine: ['check {quarantine}', 'check {evaluate-and-promote.quarantine}'],
  adopt: [
    'check what the moving tags point at, then let a person adopt it with {adopt+force-reason}',
    'check what the moving tags point at, then let a person adopt it with {evaluate-and-promote.adopt}',
  ],
  'dispatch-anew': ['start a new run instead of running this one again'],
  freeze: ['clear {freeze} first', 'clear {evaluate-and-promote.freeze} first'],
  'change-repository': ['check {repository}', 'check {propose-change.repository}'],
  'change-api': ['check {repository+api-url}', 'check {propose-change.api-url}'],
  'change-base': ['check {repository+base}', 'check {propose-change.base}'],
  'change-file': ['check {file}', 'check {propose-change.file}'],
  'change-place': ['check {yaml-path}, {pattern} and {matches}', 'check {propose-change.yaml-path}'],
  webhook: ['check {webhook-url}', 'check {evaluate-and-promote.webhook-url}'],
};

/** All hints, for the test that words each of them for each action. */
export const HINTS = Object.keys(WORDINGS) as Hint[];

/** Puts a hint into words for an action with these inputs. */
export function wordHint(hint: Hint, inputs: Readonly<Record<string, unknown>>): string {
  const [first, ...others] = WORDINGS[hint];
  const wording = [first, ...others].find((one) => hasAll(inputs, one)) ?? first;
  return wording.replace(PLACE, (_, owner: string | undefined, names: string) => {
    const list = names.split('+');
    const last = list.pop();
    const words = list.length === 0 ? `input ${last}` : `inputs ${list.join(', ')} and ${last}`;
    return owner === undefined ? `the ${words}` : `the ${words} of ${owner}`;
  });
}

/** Inputs in a wording: another action's name, if there is one, and the inputs' names. `${{ }}` is not one of these. */
const PLACE = /(?<![{$])\{(?:([a-z-]+)\.)?([a-z][a-z+-]*)\}/g;

function hasAll(inputs: Readonly<Record<string, unknown>>, wording: string): boolean {
  const places = [...wording.matchAll(PLACE)];
  return places.every(
    ([, owner, names = '']) => owner !== undefined || names.split('+').every((name) => name in inputs),
  );
}
