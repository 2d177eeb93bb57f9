import { writeFileSync } from 'node:fs';
import path from 'node:path';

/** What the demo prints about its runs: few lines, while everything goes to a file. */

/** The parts of a job's log that a person wants to know. */
const TELLING =
  /^- chose (.*)|^(Reported: \S+) of|^To test: (\S+)|^ *\S* *(::(?:error|warning)::.*)|^## (.*)|^(- \w+: (?:ok|late|broken|regressed).*)/;

/** The message in a line of act's log, such as `promote: current-ceph: promoted v19.2.3`; undefined for most lines. */
export function tellingLine(line: string): string | undefined {
  const [, job = '', text = ''] = /^\[(?:[^\]/]*\/)*([^\]]+?) *\] +(.*)$/.exec(line) ?? [];
  if (/🏁 +Job failed/.test(text)) return `${job}: FAILED`;
  const told = TELLING.exec(text.replace(/^\| +/, ''))
    ?.slice(1)
    .find((part) => part !== undefined);
  return told === undefined ? undefined : `${job}: ${told.replaceAll('`', '')}`;
}

export interface Telling {
  readonly say: (line: string) => void;
  /** Where all of the log goes. */
  readonly file: string;
  /** In milliseconds. */
  readonly now: () => number;
}

/** Runs `work`, prints each message of its log once, and then how long it took and where its whole log is. */
export async function tellRun(
  work: (onLine: (line: string) => void) => Promise<{ readonly status: number; readonly log: string }>,
  { say, file, now }: Telling,
): Promise<number> {
  const start = now();
  const said = new Set<string>();
  const { status, log } = await work((line) => {
    const told = tellingLine(line);
    if (told === undefined || said.has(told)) return;
    said.add(told);
    say(`  ${told}`);
  });
  writeFileSync(file, log);
  say(`  (${seconds(now() - start)}; act's log: ${path.relative(process.cwd(), file)})`);
  return status;
}

export function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

/** The headline of a summary, some of its rows, and how to undo what was done. */
export function tellingLines(summary: string, rows: readonly string[]): string[] {
  const lines = summary.replaceAll('`', '').split('\n');
  const [headline = ''] = lines;
  const told = rows.flatMap((row) => lines.filter((line) => line.startsWith(`| ${row} |`)));
  return [
    headline.replace(/^#+ /, ''),
    ...told.map((line) => line.slice(2, -2).replace(' | ', ': ')),
    ...lines.filter((line) => /^\*\*(?:Undo|Go back)/.test(line)).map((line) => line.replaceAll('*', '')),
  ];
}
