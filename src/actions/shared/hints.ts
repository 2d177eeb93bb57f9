import type { Hint } from '../../base/errors.js';

/** A hint in words, for an action that has the inputs it names. */
interface Wording {
  /** Inputs that the sentence names; an action that lacks one needs another wording. */
  readonly inputs: readonly string[];
  readonly text: string;
}

/** Each hint's wordings, the best first. The last names no input, so that every action has one. */
const WORDINGS: Readonly<Record<Hint, readonly Wording[]>> = {
  'exclude-tag': [
    { inputs: ['exclude'], text: 'add the tag to the input exclude' },
    { inputs: [], text: 'add the tag to the input exclude of find-stable-tag' },
  ],
  'allow-unpinned': [
    { inputs: ['allow-unpinned'], text: 'set the input allow-unpinned to accept it without a digest' },
    { inputs: [], text: 'publish it again with publish-ci-testing, which records the digest' },
  ],
  'log-in-to-source': [
    {
      inputs: ['registry-username', 'registry-password'],
      text: 'set the inputs registry-username and registry-password',
    },
    { inputs: [], text: 'log in to the registry' },
  ],
  'log-in-to-target': [
    { inputs: ['target-username', 'target-password'], text: 'set the inputs target-username and target-password' },
    { inputs: [], text: 'log in to the registry' },
  ],
  'trust-certificate': [
    { inputs: ['ca-file'], text: 'name the certificate of its authority in the input ca-file' },
    { inputs: [], text: 'name the certificate of its authority in NODE_EXTRA_CA_CERTS' },
  ],
  'use-plain-http': [
    { inputs: ['plain-http'], text: 'list the registry in the input plain-http if it speaks http' },
    { inputs: [], text: 'the registry may speak http' },
  ],
};

/** A hint in the words of an action with these inputs. */
export function wordHint(hint: Hint, inputs: Readonly<Record<string, unknown>>): string {
  const wording = WORDINGS[hint].find((one) => one.inputs.every((name) => name in inputs));
  if (wording === undefined) throw new Error(`no wording for the hint ${hint}`);
  return wording.text;
}
