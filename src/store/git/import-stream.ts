/** A file as a commit has it. A symlink's bytes are its target. */
export interface CommittedFile {
  readonly mode: '100644' | '100755' | '120000';
  readonly bytes: Uint8Array;
}

export interface NewCommit {
  /** The ref of our own repository that names the commit. */
  readonly ref: string;
  /** A commit or a ref; undefined for a commit without a parent. */
  readonly parent: string | undefined;
  /** The id of the tree to start from; the parent's if undefined. */
  readonly tree?: string | undefined;
  /** `name <address>`. */
  readonly committer: string;
  /** Unix seconds. */
  readonly when: number;
  readonly message: string;
  /** The files that change, by their paths from the repository's root. */
  readonly files: ReadonlyMap<string, CommittedFile | 'removed'>;
}

/** The input with which `git fast-import --done` makes one commit and prints its id. */
export function importStream({ ref, parent, tree, committer, when, message, files }: NewCommit): Buffer {
  const pieces: Uint8Array[] = [];
  const say = (text: string) => void pieces.push(Buffer.from(text));
  const data = (bytes: Uint8Array) => void pieces.push(Buffer.from(`data ${bytes.length}\n`), bytes, Buffer.from('\n'));
  say(`commit ${ref}\nmark :1\ncommitter ${committer} ${when} +0000\n`);
  data(Buffer.from(message));
  if (parent !== undefined) say(`from ${parent}\n`);
  if (tree !== undefined) say(`M 040000 ${tree} \n`);
  for (const [path, file] of files) {
    if (file === 'removed') {
      say(`D ${quote(path)}\n`);
      continue;
    }
    say(`M ${file.mode} inline ${quote(path)}\n`);
    data(file.bytes);
  }
  say('get-mark :1\ndone\n');
  return Buffer.concat(pieces);
}

/** A path between quotes, in which git gives only the backslash and the quote a meaning, as JSON does. */
function quote(path: string): string {
  if (/\p{Cc}/u.test(path)) throw new Error(`not a path to commit: ${JSON.stringify(path)}`);
  return JSON.stringify(path);
}
