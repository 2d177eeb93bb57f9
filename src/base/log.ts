/** The colour of a line, in logs that show colours. */
export type Tone = 'good' | 'bad' | 'unsure';

/** The logger. src/runner implements it; all other code receives it as a parameter. */
export interface Log {
  debug(message: string): void;
  info(message: string, tone?: Tone): void;
  warning(message: string): void;
  /** Runs `phase` under a heading that a runner can fold. */
  group<T>(heading: string, phase: () => Promise<T>): Promise<T>;
}
