/** The workflow that the commands start. */
export interface Workflow {
  /** The file's name, as in `promotion.yml`. */
  readonly file: string;
  /** `owner/repository`, or `host/owner/repository` if it is not on github.com; undefined if no run names it. */
  readonly repository: string | undefined;
}

/** A command that starts the workflow, for a POSIX shell. */
export function dispatch(workflow: Workflow, fields: Readonly<Record<string, string>>): string {
  const given = Object.entries(fields).map(([name, value]) => ` -f ${name}=${quote(value)}`);
  return `gh workflow run ${quote(workflow.file)}${repositoryOption(workflow)}${given.join('')}`;
}

/** The option of `gh` that names the repository; empty if it is not known. */
export function repositoryOption({ repository }: Workflow): string {
  return repository === undefined ? '' : ` -R ${quote(repository)}`;
}

/** Text as one word of a POSIX shell. */
export function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The repository of a run's address, for `gh --repo`; undefined if it is not the address of a run. */
export function repositoryOf(runUrl: string | null | undefined): string | undefined {
  const match = /^https?:\/\/([^/]+)\/([^/]+)\/([^/]+)\/actions\/runs\//.exec(runUrl ?? '');
  if (match === null) return undefined;
  const [, host, owner, name] = match;
  return host === 'github.com' ? `${owner}/${name}` : `${host}/${owner}/${name}`;
}
